//! What the init takes upon itself, and with that upon the script: its namespace, its user, its limits, its bounds.

use rustix::process::geteuid;
use rustix::thread::set_no_new_privs;

use super::containment::{Containment, Ids, InForce, Missing, ScriptUser};
use super::init::{Brief, Refusal};
use super::limits::{self, Counted};
use super::writes::Bounds;
use super::{ExecError, namespace, user};

/// What holds this process so far.
pub(super) struct Hold<'a> {
    brief: &'a Brief,
    wanted: &'a Containment,
    in_force: InForce,
}

impl<'a> Hold<'a> {
    /// Takes all that is wanted and can be had. There is no way back from it.
    pub(super) fn take(brief: &'a Brief) -> Result<InForce, Refusal> {
        let wanted = &brief.order.containment;
        let mut hold = Hold {
            brief,
            wanted,
            in_force: InForce::default(),
        };
        if brief.namespace {
            // Half of a namespace is worse than none, and the supervisor can start another init without it.
            hold.in_force.hidden = namespace::furnish(&brief.order).map_err(Refusal::Missing)?;
            hold.in_force.pid_namespace = true;
        }
        // As long as it may: later it can neither look up nor change.
        let user = hold.choose_user()?;
        let bounds = wanted.landlock.then(|| Bounds::of(&brief.order));
        let bounds = hold.or_without(bounds.transpose())?;
        limits::hold(&brief.order, hold.counted(user));
        hold.become_user(user)?;
        let abi = bounds.map(Bounds::hold).transpose();
        hold.in_force.landlock_abi = hold.or_without(abi)?;
        Ok(hold.in_force)
    }

    /// Goes on without a part, where that is allowed.
    fn or_without<T>(&mut self, part: Result<Option<T>, Missing>) -> Result<Option<T>, Refusal> {
        match part {
            Ok(part) => Ok(part),
            Err(missing) if self.wanted.required => Err(Refusal::Missing(missing)),
            Err(missing) => {
                self.in_force.missing.push(missing);
                Ok(None)
            }
        }
    }

    /// The user that it is to become; nothing where it stays what it is.
    fn choose_user(&mut self) -> Result<Option<&'a Ids>, Refusal> {
        let (Some(ids), Some(ScriptUser::OneOf { .. })) = (&self.brief.ids, &self.wanted.user)
        else {
            return Ok(self.brief.ids.as_ref());
        };
        let chosen = match user::unreachable(&self.brief.order, ids) {
            Ok(None) => Ok(Some(ids)),
            // With less it is not to be run, and that other apps can be run shows that it is this one's matter.
            Ok(Some(unreachable)) if self.wanted.required => {
                return Err(ExecError::Spawn(unreachable.why).into());
            }
            Ok(Some(missing)) | Err(ExecError::NotContained(missing)) => Err(missing),
            Err(error) => return Err(error.into()),
        };
        self.or_without(chosen)
    }

    fn become_user(&mut self, ids: Option<&Ids>) -> Result<(), Refusal> {
        if self.wanted.is_off() {
            return Ok(());
        }
        match ids {
            Some(ids) => user::become_user(ids)?,
            None if geteuid().is_root() => user::give_up_powers(),
            None => {}
        }
        self.in_force.user = ids.map(|ids| ids.name.clone());
        // No program that it starts can give it what it has not: sudo asks in vain.
        let set = set_no_new_privs(true);
        set.map_err(|error| ExecError::system("give up privileges")(error.into()).into())
    }

    fn counted(&self, user: Option<&Ids>) -> Counted {
        match (&self.wanted.user, user) {
            (Some(ScriptUser::OneOf { .. }), Some(_)) => Counted::Apart,
            (_, None) if self.brief.namespace && !geteuid().is_root() => {
                limits::in_user_namespace()
            }
            _ => Counted::WithOthers,
        }
    }
}
