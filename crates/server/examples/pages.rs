//! Writes every hosted page into a directory, in each language, so that they can be looked at:
//! `cargo run -p countersign --example pages -- DIRECTORY`.
#![allow(missing_docs)]

use std::path::Path;
use std::{env, fs, io};

use countersign::doors::hosted::pages::{Look, Wanted};
use countersign::world::World;

#[path = "../tests/pages/samples.rs"]
mod samples;

fn main() -> io::Result<()> {
    let Some(directory) = env::args_os().nth(1) else {
        return Err(io::Error::other("name a directory to write the pages into"));
    };
    let directory = Path::new(&directory);
    let world = World::real();
    let plain = samples::tenant();
    let mut themed = samples::tenant();
    themed.settings.look.title = Some("Blue Heron Bank".to_owned());
    themed.settings.look.accent = Some("#f2b705".to_owned());
    themed.settings.look.accent_dark = Some("#3a2fd0".to_owned());
    for (name, tenant, language) in [("en", &plain, "en"), ("de", &plain, "de"), ("themed", &themed, "en")] {
        let directory = directory.join(name);
        fs::create_dir_all(&directory)?;
        for (page, view) in samples::all() {
            let look = Look::of(tenant, Wanted { ui_locales: Some(language), accept_language: None }, &world);
            let html = view.html(&look).map_err(io::Error::other)?;
            fs::write(directory.join(format!("{page}.html")), html)?;
        }
    }
    Ok(())
}
