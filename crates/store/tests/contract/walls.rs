//! Nothing of one tenant is seen or touched through another.

use store::{Change, DirectoryChange};

use crate::world::*;

#[test]
fn the_same_names_live_side_by_side() {
    on_both(|store| async move {
        for tenant in [tenant(), other_tenant()] {
            store.change_directory(&tenant, vec![put_user(user("U1", "scott"))]).await.unwrap();
            let changes = vec![
                Change::BeginSignIn(sign_in("a", 1)),
                Change::AddChallenge(challenge("c")),
                Change::Spend { key: "k".into(), expires: NOW },
                Change::AddToken(digest(1), token("g", None)),
                Change::AddGrant(grant("g")),
                Change::PutEnrolment(enrolment("e", "U1", Some("lookup"))),
                Change::RevokeJwt { jti: "j".into(), expires: NOW },
                Change::Record { reference: "r".into(), grant: None, at: NOW, body: "{}".into() },
            ];
            store.commit(&tenant, "test", changes).await.unwrap();
        }
    });
}

#[test]
fn nothing_is_read_through_the_wall() {
    on_both(|store| async move {
        store.change_directory(&tenant(), vec![put_user(user("U1", "scott"))]).await.unwrap();
        let record = Change::Record { reference: "r".into(), grant: Some("g".into()), at: NOW, body: "{}".into() };
        let changes = vec![
            Change::BeginSignIn(sign_in("a", 1)),
            Change::AddChallenge(challenge("c")),
            Change::Spend { key: "k".into(), expires: NOW },
            Change::Charge { key: "k".into(), limit: 5, rest: 1, max_rest: 1, at: NOW },
            Change::AddToken(digest(1), token("none", None)),
            Change::AddGrant(grant("g")),
            Change::PutEnrolment(enrolment("e", "U1", Some("lookup"))),
            Change::RevokeJwt { jti: "j".into(), expires: NOW },
            record,
        ];
        store.commit(&tenant(), "test", changes).await.unwrap();
        for (tenant, there) in [(tenant(), true), (other_tenant(), false)] {
            assert_eq!(store.sign_in(&tenant, &"a".into()).await.unwrap().is_some(), there);
            assert_eq!(store.sign_in_by_handle(&tenant, &digest(1)).await.unwrap().is_some(), there);
            assert_eq!(store.challenge(&tenant, &"c".into()).await.unwrap().is_some(), there);
            assert_eq!(store.spent(&tenant, "k").await.unwrap(), there);
            assert_eq!(store.attempts(&tenant, "k").await.unwrap().failures == 1, there);
            assert_eq!(store.token(&tenant, &digest(1)).await.unwrap().is_some(), there);
            assert_eq!(store.grant(&tenant, &"g".into()).await.unwrap().is_some(), there);
            assert_eq!(store.jwt_revoked(&tenant, "j", &"x".into(), NOW).await.unwrap(), there);
            assert_eq!(store.user(&tenant, &"U1".into()).await.unwrap().is_some(), there);
            assert_eq!(store.user_by_login(&tenant, &"source".into(), "SCOTT").await.unwrap().is_some(), there);
            let by_mail = store.users_by_attribute(&tenant, "email", "scott@example.test", 2).await.unwrap();
            assert_eq!(by_mail.len(), usize::from(there));
            assert_eq!(store.managed_users(&tenant).await.unwrap().len(), usize::from(there));
            assert_eq!(store.enrolment(&tenant, &"e".into()).await.unwrap().is_some(), there);
            assert_eq!(store.enrolments(&tenant, &"U1".into()).await.unwrap().len(), usize::from(there));
            assert_eq!(store.enrolment_by_lookup(&tenant, "passkey", "lookup").await.unwrap().is_some(), there);
            assert_eq!(store.record(&tenant, "r").await.unwrap().is_some(), there);
            assert_eq!(store.records_of_grant(&tenant, &"g".into()).await.unwrap().len(), usize::from(there));
        }
    });
}

#[test]
fn nothing_is_changed_through_the_wall() {
    on_both(|store| async move {
        store.change_directory(&tenant(), vec![put_user(user("U1", "scott"))]).await.unwrap();
        let changes = vec![
            Change::BeginSignIn(sign_in("a", 1)),
            Change::AddChallenge(challenge("c")),
            Change::AddToken(digest(1), token("none", None)),
            Change::AddGrant(grant("g")),
            Change::PutEnrolment(enrolment("e", "U1", None)),
        ];
        store.commit(&tenant(), "test", changes).await.unwrap();
        let mut known = enrolment("e", "U1", None);
        known.version = 1;
        let refusals = [
            Change::AdvanceSignIn(sign_in("a", 2)),
            Change::UpdateChallenge(challenge("c")),
            Change::UpdateGrant(grant("g")),
            Change::PutEnrolment(known),
            Change::RemoveEnrolment("e".into()),
            Change::PutUser(user("U1", "mallory")),
            Change::Rehash { user: "U1".into(), from: "$argon2id$old".into(), to: "x".into(), at: NOW },
        ];
        for change in refusals {
            refused(store.commit(&other_tenant(), "test", vec![change]).await);
        }
        let without_effect = vec![
            Change::RevokeToken(digest(1)),
            Change::RevokeGrant("g".into()),
            Change::CancelChallenges { sign_in: "sign-in".into(), enrolment: None, at: NOW },
        ];
        store.commit(&other_tenant(), "test", without_effect).await.unwrap();
        let remove = vec![
            DirectoryChange::RemoveUser("U1".into()),
            DirectoryChange::RemoveEnrolment("e".into()),
            DirectoryChange::RemoveTenant,
        ];
        store.change_directory(&other_tenant(), remove).await.unwrap();
        assert!(store.token(&tenant(), &digest(1)).await.unwrap().is_some());
        assert!(store.grant(&tenant(), &"g".into()).await.unwrap().unwrap().active);
        assert_eq!(store.challenge(&tenant(), &"c".into()).await.unwrap().unwrap().state, "pending");
        assert_eq!(store.sign_in(&tenant(), &"a".into()).await.unwrap(), Some(sign_in("a", 1)));
        assert_eq!(store.user(&tenant(), &"U1".into()).await.unwrap(), Some(user("U1", "scott")));
        assert!(store.enrolment(&tenant(), &"e".into()).await.unwrap().is_some());
    });
}
