//! `phone`: a phone in the terminal. Speaks the open device protocol (docs/device-protocol.md) and nothing else: it is a client of
//! the server like any other phone, and knows none of its modules.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{Failure, block_on, print};
use crate::world::Stopwatch;

mod device;
mod key;

use device::Device;

/// How long one question for what is new may wait for its answer.
const WAIT: Duration = Duration::from_secs(25);
/// How long it rests where the server does not let it wait, or cannot be reached.
const PAUSE: Duration = Duration::from_secs(2);

#[derive(Subcommand)]
pub(super) enum PhoneCommand {
    /// Register this terminal as a phone: takes the text of the QR picture that the server shows
    #[command(
        after_help = "Example:\n  countersign phone register '{\"code\":\"…\",\"registrationUri\":\"…\"}' --phone phone.json"
    )]
    Register {
        /// The text of the picture, or `-` to read it from standard input
        #[arg(value_name = "INVITATION")]
        invitation: String,
        /// What the phone is called
        #[arg(long, value_name = "NAME", default_value = "terminal")]
        name: String,
        #[command(flatten)]
        kept: Kept,
    },
    /// Show what waits to be approved
    List {
        #[command(flatten)]
        kept: Kept,
    },
    /// Approve a request
    Approve {
        /// Its id, or how it begins
        #[arg(value_name = "ID")]
        id: String,
        /// The number that the page shows, where it shows one
        #[arg(long, value_name = "NUMBER")]
        number: Option<String>,
        #[command(flatten)]
        kept: Kept,
    },
    /// Deny a request
    Deny {
        /// Its id, or how it begins
        #[arg(value_name = "ID")]
        id: String,
        /// It was somebody else's
        #[arg(long)]
        fraud: bool,
        #[command(flatten)]
        kept: Kept,
    },
    /// Scan the picture of a sign-in page: begins that sign-in for the phone's owner
    Scan {
        /// The text of the picture, or `-` to read it from standard input
        #[arg(value_name = "PICTURE")]
        picture: String,
        #[command(flatten)]
        kept: Kept,
    },
    /// Show the code of the moment, where the phone was given a generator of codes
    Code {
        #[command(flatten)]
        kept: Kept,
    },
    /// Exchange the phone's key for a new one
    Rotate {
        #[command(flatten)]
        kept: Kept,
    },
    /// Remove the phone, at the server and here
    Remove {
        #[command(flatten)]
        kept: Kept,
    },
    /// Wait for requests and show them as they come
    Watch {
        /// Approve everything at once: for tests, never for a person
        #[arg(long)]
        auto: bool,
        #[command(flatten)]
        kept: Kept,
    },
}

#[derive(Args)]
pub(super) struct Kept {
    /// The file that holds the phone's key and tokens
    #[arg(long = "phone", value_name = "FILE", default_value = "phone.json")]
    file: PathBuf,
}

pub(super) fn run(command: PhoneCommand) -> Result<(), Failure> {
    block_on(async {
        match command {
            PhoneCommand::Register { invitation, name, kept } => register(&invitation, &name, &kept.file).await,
            PhoneCommand::List { kept } => {
                let mut device = Device::open(&kept.file)?;
                let waiting = device.waiting().await?;
                if waiting.is_empty() {
                    return print("nothing waits\n");
                }
                waiting.iter().try_for_each(|one| print(&describe(one)))
            }
            PhoneCommand::Approve { id, number, kept } => {
                let mut device = Device::open(&kept.file)?;
                let one = device.find(&id).await?;
                device.approve(&one, number.as_deref()).await?;
                print("approved\n")
            }
            PhoneCommand::Deny { id, fraud, kept } => {
                let mut device = Device::open(&kept.file)?;
                let one = device.find(&id).await?;
                device.say(&one, if fraud { "USER_FRAUDULENT" } else { "USER_DENIED" }, json!({})).await?;
                print("denied\n")
            }
            PhoneCommand::Scan { picture, kept } => {
                Device::open(&kept.file)?.scan(&text_of(&picture)?).await?;
                print("scanned\n")
            }
            PhoneCommand::Code { kept } => {
                let code = Device::open(&kept.file)?.code(crate::world::World::real().now())?;
                print(&format!("{code}\n"))
            }
            PhoneCommand::Rotate { kept } => {
                Device::open(&kept.file)?.rotate().await?;
                print("the key was exchanged\n")
            }
            PhoneCommand::Remove { kept } => {
                Device::open(&kept.file)?.remove().await?;
                print("removed\n")
            }
            PhoneCommand::Watch { auto, kept } => watch(Device::open(&kept.file)?, auto).await,
        }
    })
}

/// What was given on the command line, or comes in by standard input.
fn text_of(argument: &str) -> Result<String, Failure> {
    if argument == "-" {
        return std::io::read_to_string(std::io::stdin()).map_err(|error| Failure::Told(error.to_string()));
    }
    Ok(argument.to_owned())
}

async fn register(invitation: &str, name: &str, file: &Path) -> Result<(), Failure> {
    if file.exists() {
        return Err(Failure::Told(format!("`{}` holds a phone already", file.display())));
    }
    let device = Device::register(&text_of(invitation)?, name, file).await?;
    print(&format!("registered with {} as {}\n", device.service(), device.id()))
}

fn strange(what: &str) -> Failure {
    Failure::Told(format!("the answer of the server to the {what} is not in form"))
}

/// Shows what comes, and settles it where it is told to.
async fn watch(mut device: Device, auto: bool) -> Result<(), Failure> {
    let mut seen = String::new();
    loop {
        let watch = Stopwatch::start();
        let waiting = device.news(&seen, WAIT).await?;
        // A server that is busy, or about to end, answers at once.
        let early = watch.elapsed() < PAUSE;
        let Some(one) = waiting.first() else {
            seen.clear();
            if early {
                pause().await;
            }
            continue;
        };
        let id = one["id"].as_str().unwrap_or_default().to_owned();
        if id == seen {
            if early {
                pause().await;
            }
            continue;
        }
        print(&describe(one))?;
        if auto {
            device.approve(one, None).await?;
            print("approved\n")?;
        }
        seen = id;
    }
}

// A program of its own that waits for a person: nothing else waits with it.
#[allow(clippy::disallowed_methods)]
async fn pause() {
    tokio::time::sleep(PAUSE).await;
}

fn describe(transaction: &Value) -> String {
    let data: Value =
        transaction["transactionData"].as_str().and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
    // What the server sends on is shown without anything that moves the cursor.
    let plain = |value: &Value| -> String {
        value.as_str().unwrap_or_default().chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
    };
    let mut text = format!("{}\n  {}\n", plain(&transaction["id"]), plain(&data["message"]));
    for (label, value) in [("from", &data["originIpAddress"]), ("with", &data["originUserAgent"])] {
        if value.as_str().is_some_and(|value| !value.is_empty()) {
            text.push_str(&format!("  {label} {}\n", plain(value)));
        }
    }
    for detail in data["additionalData"].as_array().into_iter().flatten() {
        text.push_str(&format!("  {}: {}\n", plain(&detail["name"]), plain(&detail["value"])));
    }
    if transaction["numberMatchRequired"] == true {
        text.push_str("  approve with the number that the page shows\n");
    }
    text
}
