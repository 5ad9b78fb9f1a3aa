//! What pages load besides themselves: one stylesheet, one script, one icon, all served by us.

use std::sync::LazyLock;

use sha2::{Digest, Sha256};

/// One file that pages load.
#[derive(Debug)]
pub struct Asset {
    stem: &'static str,
    extension: &'static str,
    /// Its media type.
    pub media_type: &'static str,
    /// Its content.
    pub content: &'static str,
}

/// The stylesheet of all pages.
pub static STYLESHEET: Asset = Asset {
    stem: "style",
    extension: "css",
    media_type: "text/css; charset=utf-8",
    content: include_str!("../assets/style.css"),
};

/// The script of all pages; they work without it.
pub static SCRIPT: Asset = Asset {
    stem: "script",
    extension: "js",
    media_type: "text/javascript; charset=utf-8",
    content: include_str!("../assets/script.js"),
};

/// The icon of all pages.
pub static ICON: Asset = Asset {
    stem: "icon",
    extension: "svg",
    media_type: "image/svg+xml",
    content: include_str!("../assets/icon.svg"),
};

static NAMED: LazyLock<[(String, &Asset); 3]> =
    LazyLock::new(|| [&STYLESHEET, &SCRIPT, &ICON].map(|asset| (asset.name(), asset)));

impl Asset {
    /// Its name, which changes with its content: whoever has it by this name never has to ask again.
    fn name(&self) -> String {
        let digest = Sha256::digest(self.content);
        let short: String = digest
            .iter()
            .take(6)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{}-{short}.{}", self.stem, self.extension)
    }
}

/// The URL of an asset.
pub fn url(asset: &Asset) -> String {
    let named = NAMED.iter().find(|(_, other)| std::ptr::eq(*other, asset));
    let name = named.map_or_else(|| asset.name(), |(name, _)| name.clone());
    format!("/assets/{name}")
}

/// The asset of this name.
pub fn find(name: &str) -> Option<&'static Asset> {
    let mut named = NAMED.iter();
    named
        .find(|(other, _)| other == name)
        .map(|(_, asset)| *asset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_asset_is_found_under_its_url_and_nothing_else_is() {
        for asset in [&STYLESHEET, &SCRIPT, &ICON] {
            let url = url(asset);
            let name = url.strip_prefix("/assets/").unwrap();
            assert!(std::ptr::eq(find(name).unwrap(), asset), "{url}");
        }
        for name in ["style.css", "", "../Cargo.toml"] {
            assert!(find(name).is_none(), "{name}");
        }
    }

    #[test]
    fn nothing_is_loaded_from_elsewhere() {
        for asset in [&STYLESHEET, &SCRIPT] {
            assert!(!asset.content.contains("://"), "{}", asset.stem);
        }
    }
}
