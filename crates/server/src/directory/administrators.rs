//! Which groups make administrators, and what a client must hold to write them. Whoever may not make an administrator does not take the
//! place of one either, by a password or a factor of their choice.

use protocol::records::{Group, TenantSettings};

use super::TenantView;

/// The entitlement of clients that may make administrators and keep their accounts.
pub const OVER_ADMINISTRATORS: [&str; 1] = ["manageAllUserGroups"];

impl TenantView {
    /// Whether the members of a group are administrators, in Oracle's dialect or to sign-on rules: by its id, or by a name that is the
    /// same in whatever case.
    pub fn makes_administrators(&self, group: &Group) -> bool {
        is_named(&self.tenant.settings, group)
    }
}

fn is_named(settings: &TenantSettings, group: &Group) -> bool {
    let folded = group.name.to_lowercase();
    let mut named = settings.oracle.administrators.iter().chain(&settings.administrator_groups);
    named.any(|one| one == group.id.as_str() || one.to_lowercase() == folded)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_is_named_by_either_setting_by_id_and_by_name_in_any_case() {
        let group = |id: &str, name: &str| Group { id: id.into(), name: name.to_owned(), source: "s".into() };
        let plain = TenantSettings::default();
        assert!(is_named(&plain, &group("G1", "ADMINISTRATORS")));
        assert!(is_named(&plain, &group("G1", "Administrators")));
        assert!(!is_named(&plain, &group("G1", "Staff")));
        let mut named = TenantSettings { administrator_groups: Vec::new(), ..plain };
        named.oracle.administrators = ["G1".to_owned(), "Board".to_owned()].into();
        assert!(is_named(&named, &group("G1", "Whatever")));
        assert!(is_named(&named, &group("G2", "board")));
        assert!(!is_named(&named, &group("g1", "ADMINISTRATORS")));
        // A name may be taken for the id that is meant.
        assert!(is_named(&named, &group("G3", "G1")));
    }
}
