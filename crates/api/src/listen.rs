//! Where clients come in: each connection is timed by [`Connection`], and its requests go to [`dispatch`].

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_http::{HttpService, KeepAlive};
use actix_service::{IntoServiceFactory, ServiceFactoryExt, fn_service, map_config};
use actix_web::dev::{AppConfig, Extensions, Server};
use actix_web::rt::net::TcpStream;
use actix_web::{App, web};
use boot::Shutdown;
use socket2::SockRef;

use crate::connection::Connection;
use crate::context::State;
use crate::dispatch::dispatch;

/// So long what is left of a request that was answered already may still come in: it is not heard.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// So much may wait in the kernel for being sent before more is taken from us, in bytes: a client that reads slowly is
/// seen to read each time that so much is gone.
const UNSENT: u32 = 16 << 10;

/// So many connections wait for being taken; what comes beyond comes again after a second at the earliest.
const BACKLOG: i32 = 1024;

/// Listens, without taking any connection yet.
///
/// # Errors
/// Where the address is none of this host, or taken.
pub(crate) fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    let listener = TcpListener::bind(address)?;
    SockRef::from(&listener).listen(BACKLOG)?;
    Ok(listener)
}

/// Takes connections, and answers the requests on them, until the server is stopped. `ending` ends the connections on
/// which nothing is asked.
///
/// # Errors
/// Where the listener cannot be taken over.
pub(crate) fn serve(
    listener: TcpListener,
    state: &Arc<State>,
    ending: &Shutdown,
) -> std::io::Result<Server> {
    let data = web::Data::from(state.clone());
    let (config, clock, ending) = (&state.config, state.clock, ending.clone());
    let patience = config.patience;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let service = move || {
        let app = App::new()
            .app_data(data.clone())
            .default_service(web::to(dispatch))
            .into_factory()
            .map_err(|error| error.error_response());
        let ending = ending.clone();
        let http = HttpService::build()
            // Connections time what comes in by themselves.
            .client_request_timeout(Duration::ZERO)
            .keep_alive(KeepAlive::Os)
            .client_disconnect_timeout(LAST_WORDS)
            // Undocumented, and what actix-web's own server does: without it, idle connections hold up the end.
            .graceful_shutdown_signal(move || ending.clone().cancelled_owned())
            .on_connect_ext(|connection: &Connection, shared: &mut Extensions| {
                shared.insert(connection.stage());
            })
            .h1(map_config(app, |()| AppConfig::default()));
        let connect = move |stream: TcpStream| {
            let peer = stream.peer_addr().ok();
            // Where a kernel does not know it, slow readers show later that they read.
            let _ = SockRef::from(&stream).set_tcp_notsent_lowat(UNSENT);
            std::future::ready(Ok((Connection::new(stream, patience, clock), peer)))
        };
        fn_service(connect).and_then(http)
    };
    let server = Server::build()
        .workers(threads)
        .max_concurrent_connections(config.connections.div_ceil(threads))
        .shutdown_timeout(config.grace.as_secs().max(1))
        .disable_signals()
        .listen("http", listener, service)?;
    Ok(server.run())
}
