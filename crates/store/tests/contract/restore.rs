//! What a database taken back from a copy forgets, and what it keeps.

use protocol::records::Enrolment;
use store::{Change, Item};

use crate::world::*;

fn item(kind: &'static str) -> Change {
    Change::PutItem(Item {
        kind,
        name: "n".to_owned(),
        owner: Some("U1".to_owned()),
        link: None,
        created: NOW,
        expires: NOW + 600,
        body: "{}".to_owned(),
        version: 0,
    })
}

#[test]
fn a_restore_keeps_what_was_set_up_and_nothing_that_may_have_been_spent() {
    on_both(|store| async move {
        let (here, there) = (tenant(), other_tenant());
        for t in [&here, &there] {
            store.change_directory(t, vec![put_user(user("U1", "scott"))]).await.unwrap();
            let useless = Enrolment { kind: "phone".to_owned(), ..enrolment("E2", "U1", None) };
            let changes = vec![
                Change::BeginSignIn(sign_in("a", 1)),
                Change::AddChallenge(challenge("c")),
                Change::AddGrant(grant("g")),
                Change::AddToken(digest(9), token("g", None)),
                Change::PutEnrolment(enrolment("E1", "U1", None)),
                Change::PutEnrolment(useless),
                Change::Spend { key: "k".into(), expires: NOW + 600 },
                item("kept"),
                item("session"),
            ];
            store.commit(t, "test", changes).await.unwrap();
        }
        // Once more is the same.
        for _ in 0..2 {
            store.forget_what_may_be_spent(&here, &["other", "kept"], &["phone"], NOW + 60).await.unwrap();
        }
        for (t, lost) in [(&here, true), (&there, false)] {
            assert_eq!(store.sign_in(t, &"a".into()).await.unwrap().is_none(), lost);
            assert_eq!(store.challenge(t, &"c".into()).await.unwrap().is_none(), lost);
            assert_eq!(store.grant(t, &"g".into()).await.unwrap().unwrap().active, !lost);
            assert_eq!(store.token(t, &digest(9)).await.unwrap().is_none(), lost);
            assert_eq!(store.item(t, "session", "n").await.unwrap().is_none(), lost);
            assert_eq!(store.enrolment(t, &"E2".into()).await.unwrap().is_none(), lost);
            assert_eq!(store.user(t, &"U1".into()).await.unwrap().unwrap().not_before > 0, lost);
            assert!(store.item(t, "kept", "n").await.unwrap().is_some());
            assert!(store.enrolment(t, &"E1".into()).await.unwrap().is_some());
            assert!(store.spent(t, "k").await.unwrap(), "what was spent stays spent");
        }
        let many = ["kind"; 9];
        assert!(store.forget_what_may_be_spent(&here, &many, &[], NOW).await.is_err());
        assert!(store.forget_what_may_be_spent(&here, &[], &many, NOW).await.is_err());
    });
}
