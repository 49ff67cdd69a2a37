//! One program for all targets: `ESCARP_FUZZ_TARGET` names the one to run, the arguments are libFuzzer's.
//!
//! `cargo xtask fuzz` builds and runs it. The targets are in `escarp_tests::fuzz`, where the ordinary tests replay them.
#![no_main]

use std::{alloc::System, path::Path, sync::OnceLock};

use cap::Cap;
use escarp_tests::fuzz::{self, Target, seeds};
use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};

/// Two gigabytes for all that is allocated at any moment: what is asked for counts, touched or not.
#[global_allocator]
static MEMORY: Cap<System> = Cap::new(System, 2 << 30);

static TARGET: OnceLock<Target> = OnceLock::new();

fn target() -> Target {
    *TARGET.get_or_init(|| {
        let name = std::env::var("ESCARP_FUZZ_TARGET").unwrap_or_default();
        if name == "list" {
            fuzz::TARGETS.iter().for_each(|t| println!("{} {}", t.name, t.longest));
            std::process::exit(0)
        }
        fuzz::find(&name).unwrap_or_else(|| {
            let names = fuzz::TARGETS.map(|t| t.name).join(", ");
            eprintln!("ESCARP_FUZZ_TARGET = `{name}`; there are: {names}");
            std::process::exit(2)
        })
    })
}

/// Before libFuzzer reads its corpus: writes the seeds into the folder that `ESCARP_FUZZ_SEEDS` names.
fn prepare() {
    // libFuzzer's own hook ends the program at the first panic. The programs catch some (of foreign code, see the
    // converter's and the media crate's fences), which are then errors; only one that reaches the target's end is a find.
    let _ = std::panic::take_hook();
    let target = target();
    let Some(folder) = std::env::var_os("ESCARP_FUZZ_SEEDS") else { return };
    for (name, bytes) in seeds::of(target.name) {
        let path = Path::new(&folder).join(format!("seed-{name}"));
        if let Err(e) = std::fs::write(&path, bytes) {
            eprintln!("{}: {e}", path.display());
            std::process::exit(1);
        }
    }
}

fuzz_target!(init: prepare(), |data: &[u8]| {
    (target().run)(data);
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    // One in eight is left to libFuzzer, which also knows what the code compared bytes with.
    let by_form = target().mutate.filter(|_| seed % 8 != 0).and_then(|mutate| mutate(&data[..size], seed.into()));
    match by_form {
        Some(bytes) if bytes.len() <= max_size => {
            data[..bytes.len()].copy_from_slice(&bytes);
            bytes.len()
        }
        _ => fuzzer_mutate(data, size, max_size),
    }
});
