//! `dev`: a server with nothing to set up. What it shows comes from the tenant file; nothing here knows its values.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::{Dev, Failure, print, serve};
use crate::app::{App, Ground};
use crate::config::Config;
use crate::tenant_file::{self, TenantFile};
use crate::{listen, logging};

/// The tenant of a server started without one.
const DEMO: &str = include_str!("../../../../demo/tenant.toml");

pub(super) fn run(command: Dev) -> Result<(), Failure> {
    let mut config = Config::dev(command.listen, command.data.as_deref());
    let _traces = logging::start(&config.log, &config.observe)?;
    let mut file = match &command.tenant {
        Some(path) => tenant_file::load(path),
        None => tenant_file::load_text("demo/tenant.toml", DEMO),
    }
    .map_err(Failure::TenantFile)?;
    let runtime = listen::runtime(config.server.threads).map_err(Failure::Runtime)?;
    runtime.block_on(async {
        let listener = serve::bind(command.listen).await?;
        config.server.listen = listener.local_addr().unwrap_or(command.listen);
        let base = base(config.server.listen);
        file.answer_at(&base);
        // Browsers know passkeys by a name, never by a number.
        if config.server.listen.ip().is_loopback() || config.server.listen.ip().is_unspecified() {
            file.answer_at(&format!("http://localhost:{}", config.server.listen.port()));
        }
        let ground = Ground::open(&config, true).await?;
        tenant_file::apply(&ground.store, &ground.master, &ground.hashing, &ground.world, &file, false).await?;
        let app = App::build(config, ground, true).await?;
        print(&greeting(&file, &base, command.data.is_some()))?;
        serve::until_stopped(app, listener).await
    })
}

/// Where to reach a listener from this machine.
fn base(listen: SocketAddr) -> String {
    let host = match listen.ip() {
        ip if ip.is_unspecified() => IpAddr::V4(Ipv4Addr::LOCALHOST),
        ip => ip,
    };
    format!("http://{}", SocketAddr::new(host, listen.port()))
}

fn greeting(file: &TenantFile, base: &str, kept: bool) -> String {
    let tenants: Vec<_> = file.tenants.iter().map(|part| part.tenant.name.as_str()).collect();
    let mut text = format!("countersign {} serves {} at {base}\n", env!("CARGO_PKG_VERSION"), tenants.join(", "));
    text.push_str(if kept {
        "the database is kept; mail and codes are shown here and at /dev/outbox\n"
    } else {
        "nothing is kept; mail and codes are shown here and at /dev/outbox\n"
    });
    if let Some(requests) = file.requests(base) {
        text.push('\n');
        text.push_str(requests.trim_end());
        text.push('\n');
    }
    text.push_str("\nend with Ctrl-C\n");
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_every_address_is_reached_by_loopback() {
        let base = |listen: &str| super::base(listen.parse().expect("an address"));
        assert_eq!(base("127.0.0.1:8400"), "http://127.0.0.1:8400");
        assert_eq!(base("0.0.0.0:9000"), "http://127.0.0.1:9000");
        assert_eq!(base("[::]:9000"), "http://127.0.0.1:9000");
        assert_eq!(base("[::1]:9000"), "http://[::1]:9000");
    }

    #[test]
    fn the_demo_tenant_is_sound_and_shows_requests() {
        let file = tenant_file::load_text("demo/tenant.toml", DEMO).expect("the demo tenant loads");
        let greeting = greeting(&file, "http://127.0.0.1:9000", false);
        assert!(greeting.contains("curl") && greeting.contains("http://127.0.0.1:9000/"), "{greeting}");
        assert!(!greeting.contains("{base}"));
    }
}
