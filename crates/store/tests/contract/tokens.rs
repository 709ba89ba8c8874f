//! Grants and tokens: what dies with what.

use store::{Change, DirectoryChange, Store};

use crate::world::*;

async fn with_user(store: &Store) {
    store.change_directory(&tenant(), vec![put_user(user("6040003OH8", "scott"))]).await.unwrap();
}

async fn is_alive(store: &Store, number: u32) -> bool {
    store.token(&tenant(), &digest(number)).await.unwrap().is_some()
}

#[test]
fn a_token_is_read_as_it_was_written() {
    on_both(|store| async move {
        with_user(&store).await;
        let own = token("none", None);
        let of_user = token("g", Some("6040003OH8"));
        let add = Change::AddToken(digest(11), of_user.clone());
        store.commit(&tenant(), "test", vec![Change::AddGrant(grant("g")), add.clone()]).await.unwrap();
        do_one(&store, Change::AddToken(digest(10), own.clone())).await;
        assert_eq!(store.token(&tenant(), &digest(10)).await.unwrap(), Some((own, false)));
        assert_eq!(store.token(&tenant(), &digest(11)).await.unwrap(), Some((of_user, true)));
        assert_eq!(store.token(&tenant(), &digest(12)).await.unwrap(), None);
        refused(store.commit(&tenant(), "test", vec![add]).await);
        do_one(&store, Change::RevokeToken(digest(10))).await;
        do_one(&store, Change::RevokeToken(digest(10))).await;
        assert!(!is_alive(&store, 10).await);
    });
}

#[test]
fn a_token_dies_with_its_grant() {
    on_both(|store| async move {
        with_user(&store).await;
        let add = Change::AddToken(digest(10), token("g", Some("6040003OH8")));
        store.commit(&tenant(), "test", vec![Change::AddGrant(grant("g")), add]).await.unwrap();
        do_one(&store, Change::RevokeGrant("g".into())).await;
        do_one(&store, Change::RevokeGrant("g".into())).await;
        assert!(!is_alive(&store, 10).await);
        let (found, person) = store.grant_and_person(&tenant(), &"g".into()).await.unwrap().unwrap();
        assert_eq!(person, store.user(&tenant(), &"6040003OH8".into()).await.unwrap());
        assert!(person.is_some() && !found.active);
        let nobodys = protocol::records::Grant { subject: None, ..grant("n") };
        do_one(&store, Change::AddGrant(nobodys.clone())).await;
        assert_eq!(store.grant_and_person(&tenant(), &"n".into()).await.unwrap(), Some((nobodys, None)));
        assert!(store.jwt_revoked(&tenant(), "j", &"g".into(), NOW).await.unwrap());
        let dead = store.grant(&tenant(), &"g".into()).await.unwrap().unwrap();
        assert!(!dead.active && dead.version == 2);
        // Neither the version read before nor the one after brings it back.
        for version in [1, 2] {
            let mut revived = grant("g");
            revived.version = version;
            refused(store.commit(&tenant(), "test", vec![Change::UpdateGrant(revived)]).await);
        }
        // A token issued by somebody who has not heard of it is dead as well.
        do_one(&store, Change::AddToken(digest(11), token("g", Some("6040003OH8")))).await;
        assert!(!is_alive(&store, 11).await);
    });
}

#[test]
fn a_token_dies_with_its_person() {
    on_both(|store| async move {
        with_user(&store).await;
        do_one(&store, Change::AddToken(digest(10), token("g", Some("6040003OH8")))).await;
        do_one(&store, Change::AddGrant(grant("g"))).await;
        let person = user("6040003OH8", "scott");
        let revoked = || async { store.jwt_revoked(&tenant(), "j", &"g".into(), NOW).await.unwrap() };
        assert!(is_alive(&store, 10).await && !revoked().await);
        let mut changed = person.clone();
        changed.active = false;
        do_one(&store, Change::PutUser(changed.clone())).await;
        assert!(!is_alive(&store, 10).await && revoked().await);
        changed.active = true;
        changed.not_before = NOW + 1;
        do_one(&store, Change::PutUser(changed.clone())).await;
        assert!(!is_alive(&store, 10).await && revoked().await);
        changed.not_before = NOW;
        do_one(&store, Change::PutUser(changed)).await;
        assert!(is_alive(&store, 10).await && !revoked().await);

        let remove = DirectoryChange::RemoveUser("6040003OH8".into());
        store.change_directory(&tenant(), vec![remove]).await.unwrap();
        assert!(!is_alive(&store, 10).await && revoked().await);
        assert!(!store.grant(&tenant(), &"g".into()).await.unwrap().unwrap().active);
        do_one(&store, Change::AddToken(digest(11), token("g2", Some("6040003OH8")))).await;
        assert!(!is_alive(&store, 11).await, "a token issued while its person was removed is dead");
        // Somebody new under the same id does not inherit the tokens of before.
        with_user(&store).await;
        assert!(!is_alive(&store, 10).await);
    });
}

#[test]
fn a_revoked_jwt_is_remembered_by_its_jti() {
    on_both(|store| async move {
        let revoke = || Change::RevokeJwt { jti: "j1".into(), expires: NOW + 10 };
        do_one(&store, revoke()).await;
        do_one(&store, revoke()).await;
        assert!(store.jwt_revoked(&tenant(), "j1", &"no grant".into(), NOW).await.unwrap());
        assert!(!store.jwt_revoked(&tenant(), "j2", &"no grant".into(), NOW).await.unwrap());
    });
}

#[test]
fn a_grant_rotates_from_its_version_only() {
    on_both(|store| async move {
        let first = grant("g");
        do_one(&store, Change::AddGrant(first.clone())).await;
        refused(store.commit(&tenant(), "test", vec![Change::AddGrant(first.clone())]).await);
        assert_eq!(store.grant(&tenant(), &first.id).await.unwrap(), Some(first.clone()));

        let mut current = first;
        for number in 2..=4 {
            current.refresh_previous = current.refresh;
            current.refresh = Some(digest(number));
            current.rotated_at = NOW + i64::from(number);
            let add = Change::AddToken(digest(100 + number), token("g", None));
            let rotate = vec![Change::UpdateGrant(current.clone()), add];
            store.commit(&tenant(), "test", rotate.clone()).await.unwrap();
            assert_eq!(refused(store.commit(&tenant(), "test", rotate).await), 0);
            current.version += 1;
        }
        assert_eq!(store.grant(&tenant(), &current.id).await.unwrap(), Some(current.clone()));
        let living = async |after, limit| {
            store.living_grants(&tenant(), &"6040003OH8".into(), &current.client, after, limit).await.unwrap()
        };
        assert_eq!(living("", 10).await, [current.clone()]);
        assert_eq!(living("g", 10).await, []);
        assert_eq!(living("", 0).await, []);
        let mut later = grant("later");
        later.created = NOW + 9;
        store.commit(&tenant(), "test", vec![Change::AddGrant(later.clone())]).await.unwrap();
        let (tenant, person) = (tenant(), "6040003OH8".into());
        assert_eq!(store.newest_grants_of_user(&tenant, &person, 10).await.unwrap(), [later.clone(), current]);
        assert_eq!(store.newest_grants_of_user(&tenant, &person, 1).await.unwrap(), [later]);
    });
}

#[test]
fn the_grants_of_one_person_die_together_and_nobody_elses_do() {
    on_both(|store| async move {
        let other = protocol::records::Grant { subject: Some("other".into()), ..grant("h") };
        let changes = vec![
            Change::AddGrant(grant("g")),
            Change::AddGrant(grant("g2")),
            Change::AddGrant(other),
            Change::AddToken(digest(1), token("g", None)),
            Change::AddToken(digest(2), token("h", None)),
        ];
        store.commit(&tenant(), "test", changes).await.unwrap();
        do_one(&store, Change::RevokeGrantsOf("6040003OH8".into())).await;
        for (id, active) in [("g", false), ("g2", false), ("h", true)] {
            assert_eq!(store.grant(&tenant(), &id.into()).await.unwrap().unwrap().active, active, "{id}");
        }
        assert!(store.token(&tenant(), &digest(1)).await.unwrap().is_none());
        assert!(store.token(&tenant(), &digest(2)).await.unwrap().is_some());
        do_one(&store, Change::RevokeGrantsOf("nobody".into())).await;
    });
}

#[test]
fn the_grants_a_person_gave_a_client_die_together_and_no_others_do() {
    on_both(|store| async move {
        let other = protocol::records::Grant { subject: Some("other".into()), ..grant("h") };
        let elsewhere = protocol::records::Grant { client: "elsewhere".into(), ..grant("i") };
        let changes = vec![
            Change::AddGrant(grant("g")),
            Change::AddGrant(other),
            Change::AddGrant(elsewhere),
            Change::AddToken(digest(1), token("g", None)),
        ];
        store.commit(&tenant(), "test", changes).await.unwrap();
        let client = grant("g").client;
        do_one(&store, Change::RevokeGrantsFor { user: "6040003OH8".into(), client: client.clone() }).await;
        for (id, active) in [("g", false), ("h", true), ("i", true)] {
            assert_eq!(store.grant(&tenant(), &id.into()).await.unwrap().unwrap().active, active, "{id}");
        }
        assert!(store.token(&tenant(), &digest(1)).await.unwrap().is_none());
        do_one(&store, Change::RevokeGrantsFor { user: "nobody".into(), client }).await;
    });
}

#[test]
fn the_grants_of_one_session_die_together_and_nobody_elses_do() {
    on_both(|store| async move {
        let of = |id: &str, session: Option<&str>| protocol::records::Grant {
            session: session.map(str::to_owned),
            ..grant(id)
        };
        let grants = [of("g", Some("s")), of("h", Some("t")), of("i", None)];
        store.commit(&tenant(), "test", grants.clone().into_iter().map(Change::AddGrant).collect()).await.unwrap();
        assert_eq!(store.grant(&tenant(), &"g".into()).await.unwrap(), Some(grants[0].clone()));
        do_one(&store, Change::RevokeGrantsOfSession("s".to_owned())).await;
        for (id, active) in [("g", false), ("h", true), ("i", true)] {
            assert_eq!(store.grant(&tenant(), &id.into()).await.unwrap().unwrap().active, active, "{id}");
        }
        do_one(&store, Change::RevokeGrantsOfSession("nobody".to_owned())).await;
    });
}
