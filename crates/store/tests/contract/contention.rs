//! Of many who want the same thing at the same time exactly one gets it.

use store::{Change, DirectoryChange, SignInRow};

use crate::world::*;

const RACERS: u32 = 32;

#[test]
fn one_of_many_spends() {
    on_both(|store| async move {
        for round in 0..8 {
            let key = format!("jti:issuer:{round}");
            let won = race(&store, RACERS, |_| [Change::Spend { key: key.clone(), expires: NOW }]).await;
            assert_eq!(won, 1);
            // The same within a larger transaction.
            let key = format!("code:{round}");
            let won = race(&store, RACERS, |number| {
                [
                    Change::AddToken(digest(1000 * round + number), token("g", None)),
                    Change::Spend { key: key.clone(), expires: NOW },
                ]
            })
            .await;
            assert_eq!(won, 1);
            let mut tokens = 0;
            for number in 0..RACERS {
                let found = store.token(&tenant(), &digest(1000 * round + number)).await.unwrap();
                tokens += usize::from(found.is_some());
            }
            assert_eq!(tokens, 1, "only the winner's token is there");
        }
    });
}

#[test]
fn one_of_many_advances_a_sign_in() {
    on_both(|store| async move {
        do_one(&store, Change::BeginSignIn(sign_in("a", 1))).await;
        for version in 1..=8 {
            let won = race(&store, RACERS, |number| {
                let row = SignInRow { version, ..sign_in("a", 100 * u32::try_from(version).unwrap() + number) };
                [Change::AdvanceSignIn(row)]
            })
            .await;
            assert_eq!(won, 1);
        }
        assert_eq!(store.sign_in(&tenant(), &"a".into()).await.unwrap().unwrap().version, 9);
    });
}

#[test]
fn one_of_many_rotates_a_refresh_token() {
    on_both(|store| async move {
        do_one(&store, Change::AddGrant(grant("g"))).await;
        let won = race(&store, RACERS, |number| {
            let mut next = grant("g");
            next.refresh_previous = next.refresh;
            next.refresh = Some(digest(100 + number));
            [Change::UpdateGrant(next), Change::AddToken(digest(200 + number), token("g", None))]
        })
        .await;
        assert_eq!(won, 1);
        let grant = store.grant(&tenant(), &"g".into()).await.unwrap().unwrap();
        let mut winners = 0;
        for number in 0..RACERS {
            let won = store.token(&tenant(), &digest(200 + number)).await.unwrap().is_some();
            assert_eq!(won, grant.refresh == Some(digest(100 + number)), "the token of the winner and no other");
            winners += usize::from(won);
        }
        assert_eq!(winners, 1, "one successor, never a second line");
    });
}

#[test]
fn parallel_guesses_never_pass_the_limit() {
    on_both(|store| async move {
        let charged = race(&store, 100, |_| {
            [Change::Charge { key: "password:U1".into(), limit: 5, rest: 60, max_rest: 3600, at: NOW }]
        })
        .await;
        assert_eq!(charged, 5);
        assert_eq!(store.attempts(&tenant(), "password:U1").await.unwrap().failures, 5);
        let sent =
            race(&store, 100, |_| [Change::Meter { key: "mail:U1".into(), limit: 10, window: 3600, at: NOW }]).await;
        assert_eq!(sent, 10);
    });
}

#[test]
fn neighbours_in_a_shared_commit_do_not_suffer_from_a_refusal() {
    on_both(|store| async move {
        do_one(&store, Change::Spend { key: "taken".into(), expires: NOW }).await;
        let won = race(&store, 200, |number| match number % 4 {
            0 => vec![Change::Spend { key: "taken".into(), expires: NOW }],
            1 => vec![
                Change::AddToken(digest(number), token("g", None)),
                Change::Spend { key: "taken".into(), expires: NOW },
            ],
            _ => vec![Change::AddToken(digest(number), token("g", None))],
        })
        .await;
        assert_eq!(won, 100);
        for number in 0..200 {
            let found = store.token(&tenant(), &digest(number)).await.unwrap().is_some();
            assert_eq!(found, number % 4 > 1);
        }
    });
}

#[test]
fn transactions_that_cross_each_other_both_end() {
    on_both(|store| async move {
        for round in 0..16 {
            let won = race(&store, RACERS, |number| {
                let key = |side: u32| Change::Spend { key: format!("{round}:{side}"), expires: NOW };
                [key(number % 2), key((number + 1) % 2)]
            })
            .await;
            assert_eq!(won, 1);
        }
    });
}

#[test]
fn every_change_of_the_directory_has_a_version_of_its_own() {
    on_both(|store| async move {
        let before = store.directory_version().await.unwrap();
        let writers: Vec<_> = (0..16)
            .map(|number| {
                let store = store.clone();
                let change = put_user(user(&format!("U{number}"), &format!("user{number}")));
                tokio::spawn(async move { store.change_directory(&tenant(), vec![change]).await })
            })
            .collect();
        for writer in writers {
            writer.await.unwrap().unwrap();
        }
        assert_eq!(store.directory_version().await.unwrap(), before + 16);
        // One that is refused leaves no trace.
        let twice = vec![DirectoryChange::RemoveUser("U1".into()), put_user(user("U99", "USER2"))];
        assert_eq!(refused(store.change_directory(&tenant(), twice).await), 1);
        assert_eq!(store.directory_version().await.unwrap(), before + 16);
        assert!(store.user(&tenant(), &"U1".into()).await.unwrap().is_some());
    });
}
