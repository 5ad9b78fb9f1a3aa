//! Users and groups that are set by name or number, as the kernel of this host knows them.

use crate::settings::{Folder, Group, Worker};

/// A user as the kernel knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserIds {
    /// As it was set.
    pub name: String,
    /// The user's number.
    pub user: u32,
    /// Its group's number.
    pub group: u32,
    /// The numbers of all its groups; none where it was set by its own.
    pub groups: Vec<u32>,
}

impl Worker {
    /// The numbers of the user that is set.
    ///
    /// # Errors
    /// Where this host knows no user of that name.
    pub fn user_ids(&self) -> anyhow::Result<Option<UserIds>> {
        let Some(name) = &self.user else {
            return Ok(None);
        };
        // The kernel takes the largest number for "leave it as it is" (`setresuid(2)`).
        let number = |text: &str| text.parse().ok().filter(|number| *number != u32::MAX);
        let numbers = name
            .split_once(':')
            .and_then(|(user, group)| Some((number(user)?, number(group)?)));
        let (user, group, groups) = match numbers {
            Some((user, group)) => (user, group, Vec::new()),
            None => named(name)?,
        };
        Ok(Some(UserIds {
            name: name.clone(),
            user,
            group,
            groups,
        }))
    }
}

fn named(name: &str) -> anyhow::Result<(u32, u32, Vec<u32>)> {
    let unknown = |error| anyhow::anyhow!("the user {name:?} cannot be looked up: {error}");
    let Some(user) = nix::unistd::User::from_name(name).map_err(unknown)? else {
        anyhow::bail!("this host knows no user {name:?}: a user's name or uid:gid is due");
    };
    let text = std::ffi::CString::new(name).expect("a user was found by it");
    let groups = nix::unistd::getgrouplist(&text, user.gid).map_err(unknown)?;
    let groups = groups.into_iter().map(nix::unistd::Gid::as_raw).collect();
    Ok((user.uid.as_raw(), user.gid.as_raw(), groups))
}

impl Folder {
    /// The number of the group that is set.
    ///
    /// # Errors
    /// Where this host knows no group of that name.
    pub fn group_id(&self) -> anyhow::Result<Option<u32>> {
        match &self.group {
            None => Ok(None),
            Some(Group::Id(id)) => Ok(Some(*id)),
            Some(Group::Name(name)) => match nix::unistd::Group::from_name(name) {
                Ok(Some(group)) => Ok(Some(group.gid.as_raw())),
                Ok(None) => anyhow::bail!("this host knows no group {name:?}"),
                Err(error) => {
                    anyhow::bail!("the group {name:?} cannot be looked up: {error}")
                }
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_is_known_by_name_or_by_numbers() {
        let of = |name: &str| {
            let user = Some(name.to_owned());
            Worker {
                user,
                ..Worker::default()
            }
            .user_ids()
        };
        let root = of("root").unwrap().unwrap();
        assert_eq!((root.user, root.group), (0, 0));
        assert!(root.groups.contains(&0), "{root:?}");
        let numbers = of("1234:5678").unwrap().unwrap();
        assert_eq!(
            (numbers.user, numbers.group, &*numbers.groups),
            (1234, 5678, &[][..])
        );
        for name in [
            "",
            "no such user",
            "1:",
            "-1:1",
            "4294967295:1",
            "1:4294967295",
            "a\0b",
        ] {
            let error = of(name).unwrap_err().to_string();
            assert!(error.starts_with("this host knows no user "), "{error}");
        }
        assert_eq!(Worker::default().user_ids().unwrap(), None);
    }
}
