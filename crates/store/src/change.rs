//! What may be written: each change is one conditional statement, and a list of them is one transaction.

use protocol::records::{
    ChallengeId, ClientId, Digest, Enrolment, EnrolmentId, Grant, GrantId, GroupId, Seconds, TenantId, Token, User,
    UserId,
};

use crate::audit::AuditEntry;
use crate::item::Item;
use crate::people::GroupRow;

/// A sign-in as it is stored. The engine's state travels as opaque JSON: only the driver reads it.
#[derive(Clone, Debug, PartialEq)]
pub struct SignInRow {
    /// `grant_id`; also the key of the row.
    pub id: GrantId,
    /// The client that began it.
    pub client: ClientId,
    /// The handle that may continue it (the challenge token, hashed); replaced when a new challenge is issued.
    pub handle: Digest,
    /// Grows with every step: what a conditional write compares.
    pub version: i64,
    /// When it can no longer be continued.
    pub expires: Seconds,
    /// The stored form: engine state, requested scope, context, decision records. JSON.
    pub body: String,
}

/// A challenge in flight: a code that was sent, or WebAuthn options. Outlives nothing: it has its own expiry.
#[derive(Clone, Debug, PartialEq)]
pub struct Challenge {
    /// Its identifier (`trxn` on the wire).
    pub id: ChallengeId,
    /// The sign-in it belongs to; none for one outside a grant.
    pub sign_in: Option<GrantId>,
    /// The person it was made for; none where nobody is known yet.
    pub user: Option<UserId>,
    /// The enrolment it was sent to; none for a transient one.
    pub enrolment: Option<EnrolmentId>,
    /// The engine's name of the factor.
    pub kind: String,
    /// `pending`, `success`, `failed`, `canceled` or `timeout`.
    pub state: String,
    /// Wrong answers so far.
    pub attempts: i64,
    /// Answers allowed in all.
    pub max_attempts: i64,
    /// When it was made.
    pub created: Seconds,
    /// When it last changed.
    pub updated: Seconds,
    /// When it dies.
    pub expires: Seconds,
    /// What may be shown (correlation, address); a JSON object.
    pub shown: String,
    /// The keyed hash of the code, or the sealed ceremony state; never a secret in clear.
    pub secret: Vec<u8>,
    /// Grows with every change.
    pub version: i64,
}

/// A counter of wrong answers, whichever door or node they came through.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attempts {
    /// Wrong answers in a row.
    pub failures: i64,
    /// Nothing is judged before this moment.
    pub rests_until: Seconds,
}

/// A message to be delivered, kept until it is.
#[derive(Clone, PartialEq)]
pub struct Mail {
    /// A UUID.
    pub id: String,
    /// `email`, `sms` or `voice`.
    pub channel: String,
    /// The message with its recipient and code, sealed: the table holds no code in clear.
    pub sealed: Vec<u8>,
    /// When it was put in.
    pub created: Seconds,
    /// When it is no longer worth delivering.
    pub expires: Seconds,
}

/// A message taken from the outbox under a lease.
#[derive(Clone, PartialEq)]
pub struct OutboxItem {
    /// The tenant it belongs to.
    pub tenant: TenantId,
    /// The message.
    pub mail: Mail,
    /// Deliveries tried before this one.
    pub tries: i64,
}

/// A decision worth keeping, as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DecisionRow {
    /// The public reference shown in the error.
    pub reference: String,
    /// The grant it belongs to, if any.
    pub grant: Option<GrantId>,
    /// When.
    pub at: Seconds,
    /// The decision record, JSON.
    pub body: String,
}

/// One conditional write. All changes of one [`Store::commit`](crate::Store::commit) happen or none does.
///
/// A change says how many rows it must touch. When it touches none, the commit ends in
/// [`CommitError::Refused`](crate::CommitError) naming the change by its position, and nothing happened.
#[derive(Clone)]
pub enum Change {
    /// A new sign-in. Refused if the id or handle exists.
    BeginSignIn(SignInRow),
    /// The next step: `row.version` is the version it replaces. Refused if the stored one differs (a lost race).
    AdvanceSignIn(SignInRow),
    /// A new challenge.
    AddChallenge(Challenge),
    /// The next state of a challenge: `version` is the one it replaces.
    UpdateChallenge(Challenge),
    /// Pending challenges of this sign-in and enrolment become `canceled`. Touches any number.
    CancelChallenges {
        /// The sign-in.
        sign_in: GrantId,
        /// Only this enrolment's; none for all.
        enrolment: Option<EnrolmentId>,
        /// Now.
        at: Seconds,
    },
    /// This challenge becomes `canceled` if it is pending. Touches any number.
    CancelChallenge {
        /// The challenge.
        challenge: ChallengeId,
        /// Now.
        at: Seconds,
    },
    /// One more wrong answer is counted *before* it is judged. Refused while the counter rests.
    ///
    /// With `failures` reaching `limit`, the counter rests for `rest` seconds, doubled for each failure beyond,
    /// at most `max_rest`.
    Charge {
        /// Whose counter: `password:<user id>`, `otp:<user id>`, …; for strangers a hash of the login.
        key: String,
        /// Failures allowed before the first rest.
        limit: i64,
        /// The first rest, seconds.
        rest: Seconds,
        /// The longest rest, seconds.
        max_rest: Seconds,
        /// Now.
        at: Seconds,
    },
    /// The counter starts again from nothing. Touches any number.
    ClearAttempts {
        /// The counter.
        key: String,
    },
    /// One more unit within a fixed window (messages an hour). Refused when `limit` is reached in the current window.
    Meter {
        /// What is metered: `mail:<user id>`, …
        key: String,
        /// Units allowed in a window.
        limit: i64,
        /// Length of the window, seconds.
        window: Seconds,
        /// Now.
        at: Seconds,
    },
    /// One more unit within a window that begins with its first unit. Refused when `limit` is reached. A window that was used up
    /// is followed by one twice as long, up to `longest`; after as long a time without any the first length is back.
    Pace {
        /// What is paced: `tries:<place>`, …
        key: String,
        /// Units allowed in a window.
        limit: i64,
        /// Length of the first window, seconds.
        window: Seconds,
        /// Length of the longest, seconds.
        longest: Seconds,
        /// Now.
        at: Seconds,
    },
    /// Something single-use is spent for good (a `jti`, a receipt, a TOTP step). Refused if it was spent before.
    Spend {
        /// What: `jti:<issuer>:<jti>`, `totp:<enrolment>:<step>`, …
        key: String,
        /// When it may be forgotten, because it would be refused anyway.
        expires: Seconds,
    },
    /// A new opaque access token. It must not outlive its grant, unless added together with the grant's change.
    AddToken(Digest, Token),
    /// The token is dead. Touches any number.
    RevokeToken(Digest),
    /// A JWT access token is dead before its time: its `jti` is remembered. Touches any number.
    RevokeJwt {
        /// Its `jti`.
        jti: String,
        /// When it would have ended.
        expires: Seconds,
    },
    /// A new grant. Refused if it exists.
    AddGrant(Grant),
    /// The next state of a grant: `grant.version` is the version it replaces. Refused if the grant is dead.
    UpdateGrant(Grant),
    /// A token of which no row tells was issued with a grant that this transaction writes: the grant is remembered as long as it.
    KeepGrant {
        /// The grant.
        grant: GrantId,
        /// When the token ends.
        until: Seconds,
    },
    /// A grant is alive, and is remembered as long as a token that ends then. Refused if it is dead.
    NeedGrant {
        /// The grant.
        grant: GrantId,
        /// When the token ends.
        until: Seconds,
    },
    /// The grant and with it every token of it is dead. Touches any number.
    RevokeGrant(GrantId),
    /// Every living grant of a person, and with each every token of it, is dead. Touches any number.
    RevokeGrantsOf(UserId),
    /// Every living grant that a person gave a client, and with each every token of it, is dead. Touches any number.
    RevokeGrantsFor {
        /// The person.
        user: UserId,
        /// The client.
        client: ClientId,
    },
    /// Every living grant that ends with this browser session is dead. Touches any number.
    RevokeGrantsOfSession(String),
    /// A new or changed enrolment; `version` 0 is new (and stored as 1), otherwise the version it replaces.
    PutEnrolment(Enrolment),
    /// An enrolment is gone.
    RemoveEnrolment(EnrolmentId),
    /// A changed password hash, if the stored one is still `from`: an upgrade must not undo a change of password.
    Rehash {
        /// Whose.
        user: UserId,
        /// The hash that was verified.
        from: String,
        /// Its stronger form.
        to: String,
        /// Now.
        at: Seconds,
    },
    /// A changed person. Refused if there is no such person, or another has the login name.
    PutUser(User),
    /// A person is there, active, and was not cut off since they were read; nobody changes them before this is committed. Comes before
    /// what else is locked, as where a person is changed. Refused otherwise.
    NeedUser {
        /// The person.
        user: UserId,
        /// [`User::not_before`] as it was read.
        not_before: Seconds,
    },
    /// A new person, in no group. Refused if the id or the login name exists.
    AddUser(User),
    /// The next state of a person whose record has this version; the groups stay as they are. Refused if the version
    /// differs, or another has the login name.
    EditUser {
        /// The person.
        user: User,
        /// The version it replaces.
        version: i64,
    },
    /// A person whose record has this version is gone, with enrolments and documents; grants and tokens are dead.
    RemoveUser {
        /// The person.
        user: UserId,
        /// The version.
        version: i64,
    },
    /// The configuration of all tenants is still of this version, and gets the next: goes with every change of a group's
    /// own attributes, which are part of it.
    DirectoryAt {
        /// The version.
        version: i64,
    },
    /// A new group, with nobody in it. Refused if the id exists.
    AddGroup(GroupRow),
    /// The next state of the group of this version; who is in it stays.
    EditGroup(GroupRow),
    /// A group of this version is gone, and nobody is in it any more.
    RemoveGroup {
        /// The group.
        id: GroupId,
        /// The version.
        version: i64,
    },
    /// Nobody is in this group any more. Its own version is for [`Change::EditGroup`] to raise.
    EmptyGroup(GroupId),
    /// A person is in a group, whether already or not. Refused if there is no such person.
    JoinGroup {
        /// The group.
        group: GroupId,
        /// The person.
        user: UserId,
    },
    /// A person is in a group no more. Touches any number.
    LeaveGroup {
        /// The group.
        group: GroupId,
        /// The person.
        user: UserId,
    },
    /// A document that is new (`version` 0; refused if its name is taken), or the next state of the one with this version.
    PutItem(Item),
    /// The next state of a document whose owner, link and end stay: the cheapest way, no index is touched.
    EditItem {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// What it says now.
        body: String,
        /// The version it replaces.
        version: i64,
    },
    /// A document is used up. Refused if it is not there, or is another version than the one named.
    TakeItem {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Its version, where it matters.
        version: Option<i64>,
    },
    /// A document of this kind with this link is there, and nobody takes it before this is committed. Refused where there is none.
    NeedItemLinked {
        /// Its kind.
        kind: &'static str,
        /// The link.
        link: String,
    },
    /// A document is of this version, and nobody changes or takes it before this is committed. Refused otherwise.
    NeedItem {
        /// Its kind.
        kind: &'static str,
        /// Its name.
        name: String,
        /// Its version.
        version: i64,
    },
    /// The documents of this kind that a person has are gone. Touches any number.
    DropItemsOf {
        /// Their kind.
        kind: &'static str,
        /// The person.
        owner: String,
    },
    /// The documents of this kind with this link are gone. Touches any number.
    DropItemsLinked {
        /// Their kind.
        kind: &'static str,
        /// The link.
        link: String,
    },
    /// One more entry of the audit trail.
    Audit(AuditEntry),
    /// A message to deliver.
    Enqueue(Mail),
    /// A decision worth keeping, found again by its public reference.
    Record {
        /// The public reference shown in the error.
        reference: String,
        /// The grant it belongs to, if any.
        grant: Option<GrantId>,
        /// When.
        at: Seconds,
        /// The decision record, JSON, no secrets.
        body: String,
    },
}

/// Only that there is one: much of what a change holds is nobody's to read.
impl std::fmt::Debug for Change {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Change")
    }
}
