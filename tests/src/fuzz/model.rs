//! Any bytes as a model file: refused, or run to the same bits on every kernel, whatever the arena held, in the time that
//! the file's stated work allows.

use std::time::{Duration, Instant};

use escarp_run::info;
use escarp_runtime::{
    Cpu, Dtype, Element, Model, Session,
    format::{HEADER, MAGIC, VERSION},
};

use super::seeds::writer::restate;

/// Models that ask for more are not run here: that is what `--max-memory` and `--max-work` are for.
const LARGEST: usize = 1 << 22;
const MOST_WORK: u64 = 1 << 24;

/// Time that no model needs, and for each unit of work: a hundred times what instrumented portable kernels take, because
/// the machine may be busy.
const START: Duration = Duration::from_secs(2);
const EACH: Duration = Duration::from_nanos(500);

/// The target.
pub fn run(data: &[u8]) {
    let Some(file) = mend(data) else { return };
    let Ok(model) = Model::parse(&file) else { return };
    describe(&model);
    let work = model.work();
    if model.buffer_len() > LARGEST || work > MOST_WORK {
        return;
    }
    let began = Instant::now();
    let portable = outputs(&model, Cpu::PORTABLE, 0x5a);
    let took = began.elapsed();
    let allowed = START + EACH * u32::try_from(work).expect("at most MOST_WORK") * RUNS;
    assert!(took <= allowed, "{took:?} for a stated work of {work}");
    assert_eq!(portable, outputs(&model, Cpu::PORTABLE, -0x5b), "what the arena held before changes the result");
    let cpu = escarp_detect::detect();
    assert_eq!(portable, outputs(&model, cpu, 0x33), "{} kernels differ from the portable ones", cpu.isa().name());
}

/// What a program may ask of a model that was accepted.
fn describe(model: &Model) {
    assert!(model.labels().all(|label| label.len() < 1 << 16));
    // Both print every field there is.
    let _ = (info::text(model), info::json(model));
}

/// Runs of each session.
const RUNS: u32 = 3;

/// All outputs of some runs, the last of them by another session that takes the state over.
fn outputs(model: &Model, cpu: Cpu, fill: i8) -> Vec<Vec<u8>> {
    let memory = || vec![fill; model.buffer_len()];
    let (mut first, mut second) = (memory(), memory());
    let mut session = Session::new(model, &mut first, cpu).expect("the arena is large enough");
    let mut all: Vec<Vec<u8>> = (1..RUNS).flat_map(|number| infer(&mut session, number)).collect();
    let mut other = Session::new(model, &mut second, cpu).expect("the arena is large enough");
    other.restore(session.state()).expect("a state of this model");
    let last = infer(&mut session, RUNS);
    assert_eq!(last, infer(&mut other, RUNS), "a session that took the state over differs");
    all.extend(last);
    all
}

/// One run on inputs that depend on nothing but its number.
fn infer(session: &mut Session, number: u32) -> Vec<Vec<u8>> {
    let mut x = number.wrapping_mul(0x9e37_79b9) | 1;
    let mut next = || {
        // Xorshift (Marsaglia 2003).
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        x.cast_signed()
    };
    let model = *session.model();
    for (index, port) in model.inputs().enumerate() {
        let len = usize::try_from(port.tensor.elements()).expect("in the arena");
        let set = match port.tensor.dtype {
            Dtype::I8 => {
                session.set_input(index, &Vec::from_iter((0..len).map(|_| next().to_le_bytes()[1].cast_signed())))
            }
            Dtype::I16 => session.set_input(index, &Vec::from_iter((0..len).map(|_| (next() >> 16) as i16))),
            Dtype::I32 => session.set_input(index, &Vec::from_iter((0..len).map(|_| next()))),
        };
        set.expect("values of the right number and type");
    }
    session.infer().expect("a model that was accepted runs");
    let bytes = |(index, port): (usize, escarp_runtime::Port)| match port.tensor.dtype {
        Dtype::I8 => read::<i8, 1>(session, index, i8::to_le_bytes),
        Dtype::I16 => read::<i16, 2>(session, index, i16::to_le_bytes),
        Dtype::I32 => read::<i32, 4>(session, index, i32::to_le_bytes),
    };
    model.outputs().enumerate().map(bytes).collect()
}

fn read<T: Element, const N: usize>(session: &Session, index: usize, bytes: fn(T) -> [u8; N]) -> Vec<u8> {
    session.output::<T>(index).expect("an output of that type").iter().flat_map(|&value| bytes(value)).collect()
}

/// Where the header states the file's length; `runtime/format.md`.
const FILE_LEN_AT: usize = 16;

/// Makes magic, version, length, stated work and checksum right, so that whatever else the bytes say is looked at.
fn mend(data: &[u8]) -> Option<Vec<u8>> {
    let mut file = data.to_vec();
    let len = u32::try_from(file.len()).ok()?;
    file.get_mut(..HEADER)?;
    file[..MAGIC.len()].copy_from_slice(&MAGIC);
    file[MAGIC.len()..][..2].copy_from_slice(&VERSION.to_le_bytes());
    file[FILE_LEN_AT..][..4].copy_from_slice(&len.to_le_bytes());
    restate(&mut file);
    Some(file)
}

#[cfg(test)]
mod tests {
    use escarp_runtime::Model;

    use super::mend;
    use crate::{fuzz::seeds, root};

    #[test]
    fn a_sound_model_stays_as_it_is_and_a_spoilt_header_is_mended() {
        for (name, file) in seeds::of("model") {
            assert_eq!(Model::parse(&file).map(drop), Ok(()), "{name}");
            assert_eq!(mend(&file).as_deref(), Some(&file[..]), "{name}");
            let mut spoilt = file.clone();
            for at in [0, 5, 8, 12, 15, 16, 18, 48, 50] {
                spoilt[at] ^= 0x55;
            }
            assert!(mend(&spoilt) == Some(file), "{name}");
        }
    }

    /// A change of the format leaves a corpus that is refused at its first bytes, and a replay of that tests nothing.
    #[test]
    fn the_committed_corpus_has_models_that_run() {
        let folder = root().join("fuzz/corpus/model");
        let files = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
        let files = files.map(|entry| std::fs::read(entry.unwrap().path()).unwrap());
        let accepted = files.filter_map(|data| mend(&data)).filter(|file| Model::parse(file).is_ok()).count();
        assert!(accepted >= 5, "{accepted} accepted: make the corpus again, as fuzz/README.md says");
    }
}
