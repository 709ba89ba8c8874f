//! Who may do what with the directory: clients by their own tokens, with the vendor's entitlements (vendor page §1.4); people with
//! theirs, for themselves alone.

use protocol::records::User;

use super::refusal::Refusal;
use crate::app::App;
use crate::call::Call;
use crate::oauth::bearer::{self, Bearer};

/// People are read.
pub const READ_USERS: [&str; 3] = ["readUsers", "manageUsers", "updateAnyUser"];
/// People are made and removed.
pub const MANAGE_USERS: [&str; 1] = ["manageUsers"];
/// People are changed.
pub const UPDATE_USERS: [&str; 2] = ["manageUsers", "updateAnyUser"];
/// Groups are read.
pub const READ_GROUPS: [&str; 6] = [
    "readUserGroups",
    "manageUserGroups",
    "manageAllUserGroups",
    "manageUserStandardGroups",
    "readUsers",
    "manageUsers",
];
/// Groups are made, changed and removed.
pub const MANAGE_GROUPS: [&str; 3] = ["manageUserGroups", "manageAllUserGroups", "manageUserStandardGroups"];
/// People read their own record.
pub const READ_SELF: [&str; 2] = ["readSelf", "manageSelf"];
/// People change their own record.
pub const MANAGE_SELF: [&str; 1] = ["manageSelf"];

/// Whoever holds a living access token.
///
/// # Errors
/// There is none, or it is not valid any more.
pub async fn anyone(app: &App, call: &Call) -> Result<Bearer, Refusal> {
    let token = call.bearer().ok_or(Refusal::BadToken)?;
    bearer::find(app, call, token).await?.ok_or(Refusal::BadToken)
}

/// A client by its own token, with one of these entitlements.
///
/// # Errors
/// It is somebody else, or holds none of them.
pub async fn client(app: &App, call: &Call, any: &[&str]) -> Result<Bearer, Refusal> {
    let bearer = anyone(app, call).await?;
    if bearer.is_client_alone() && bearer.holds(any) { Ok(bearer) } else { Err(Refusal::Forbidden) }
}

/// A person by a token of theirs, through a client with one of these entitlements.
///
/// # Errors
/// It is nobody's token, or its client holds none of them.
pub async fn person(app: &App, call: &Call, any: &[&str]) -> Result<User, Refusal> {
    let bearer = anyone(app, call).await?;
    if !bearer.holds(any) {
        return Err(Refusal::Forbidden);
    }
    bearer.user.map(|user| *user).ok_or(Refusal::Forbidden)
}
