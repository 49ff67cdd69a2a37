//! Sessions: the golden files, poisoned memory, streaming, saved states.

mod writer;

use escarp_runtime::{Arena, Cpu, Error, Model, Session, State, arena_len, include_model};
use writer::{Random, gru_net, residual_net};

static RESIDUAL: &[u8] = include_model!("data/residual.escarp");
static GRU: &[u8] = include_model!("data/gru.escarp");

fn outputs(session: &mut Session, seed: u64, count: usize) -> Vec<Vec<i8>> {
    let mut random = Random(seed);
    let len = session.model().input().elements() as usize;
    (0..count).map(|_| session.run(&random.activations(len)).unwrap().to_vec()).collect()
}

/// `ESCARP_BLESS=1` writes the files anew: only when the format changes on purpose.
#[test]
fn writer_gives_the_committed_files() {
    for (name, committed, file) in [("residual", RESIDUAL, residual_net()), ("gru", GRU, gru_net())] {
        if std::env::var_os("ESCARP_BLESS").is_some() {
            std::fs::write(format!("{}/tests/data/{name}.escarp", env!("CARGO_MANIFEST_DIR")), &file).unwrap();
        } else {
            assert!(committed == file, "{name}.escarp differs from what the writer gives");
        }
    }
}

#[test]
fn embedded_model_in_a_static_arena() {
    assert_eq!(RESIDUAL.as_ptr().align_offset(64), 0);
    let mut arena = Arena::<{ arena_len(RESIDUAL) }>::new();
    let model = Model::parse(RESIDUAL).unwrap();
    assert_eq!(arena.len(), model.arena_len());
    let mut session = Session::new(&model, &mut arena, Cpu::compiled()).unwrap();
    assert_eq!(outputs(&mut session, 5, 3), RESIDUAL_OUTPUTS);
    assert!(model.labels().eq(["0", "1", "2", "3"]));
}

#[test]
fn streaming_gives_the_committed_outputs() {
    let model = Model::parse(GRU).unwrap();
    let mut arena = vec![0; model.buffer_len()];
    let mut session = Session::new(&model, &mut arena, Cpu::compiled()).unwrap();
    assert_eq!(outputs(&mut session, 6, 4), GRU_OUTPUTS);
    assert_eq!(model.sequence(), 8);
}

#[test]
fn memory_at_the_start_does_not_matter() {
    for file in [RESIDUAL, GRU] {
        let model = Model::parse(file).unwrap();
        let fresh = |poison: u8, skew: usize| {
            let mut arena = vec![poison.cast_signed(); model.arena_len() + 32];
            outputs(&mut Session::new(&model, &mut arena[skew..], Cpu::PORTABLE).unwrap(), 7, 20)
        };
        let clean = fresh(0, 0);
        assert_eq!(fresh(0xa5, 0), clean);
        assert_eq!(fresh(0x5a, 3), clean, "at an odd address");
    }
}

#[test]
fn reset_equals_a_fresh_session() {
    let model = Model::parse(GRU).unwrap();
    let mut arena = vec![0; model.buffer_len()];
    let mut session = Session::new(&model, &mut arena, Cpu::PORTABLE).unwrap();
    let first = outputs(&mut session, 8, 12);
    assert_ne!(outputs(&mut session, 8, 12), first, "the state matters");
    session.reset();
    assert_eq!(outputs(&mut session, 8, 12), first);
}

#[test]
fn restored_state_goes_on() {
    let model = Model::parse(GRU).unwrap();
    let (mut one, mut two) = (vec![0; model.buffer_len()], vec![-1; model.buffer_len()]);
    let mut session = Session::new(&model, &mut one, Cpu::PORTABLE).unwrap();
    outputs(&mut session, 9, 5);
    let saved = session.state().bytes.to_vec();
    assert_eq!(saved.len(), model.state_len());
    let rest = outputs(&mut session, 10, 5);

    let mut other = Session::new(&model, &mut two, Cpu::PORTABLE).unwrap();
    other.restore(State { model: model.id(), bytes: &saved }).unwrap();
    assert_eq!(outputs(&mut other, 10, 5), rest);

    let before = other.state().bytes.to_vec();
    let wrong = other.restore(State { model: 1, bytes: &saved });
    assert_eq!(wrong, Err(Error::StateModel { model: model.id(), saved: 1 }));
    let short = other.restore(State { model: model.id(), bytes: &saved[1..] });
    assert_eq!(short, Err(Error::StateLength { needed: saved.len() as u32, got: saved.len() as u32 - 1 }));
    assert_eq!(other.state().bytes, before, "a refused state changes nothing");
}

#[test]
fn wrong_lengths_are_errors() {
    let model = Model::parse(RESIDUAL).unwrap();
    let needed = model.arena_len() as u32;
    let mut small = Arena::<16>::new();
    let refused = Session::new(&model, &mut small, Cpu::PORTABLE).err();
    assert_eq!(refused, Some(Error::Arena { needed, got: 16 }));
    let mut arena = vec![0; model.buffer_len()];
    let mut session = Session::new(&model, &mut arena, Cpu::PORTABLE).unwrap();
    assert_eq!(session.run(&[0; 89]), Err(Error::Input { index: 0, needed: 90, got: 89 }));
    assert_eq!(session.run(&[0; 91]), Err(Error::Input { index: 0, needed: 90, got: 91 }));
}

#[test]
fn trace_shows_every_step() {
    let model = Model::parse(RESIDUAL).unwrap();
    let mut arena = vec![0; model.buffer_len()];
    let mut session = Session::new(&model, &mut arena, Cpu::PORTABLE).unwrap();
    let (mut names, mut last) = (Vec::new(), Vec::new());
    let result = session.trace(&[1; 90], |index, step, output| {
        assert_eq!(index, names.len());
        names.push(step.name());
        last = output.to_vec();
    });
    assert_eq!(result.unwrap(), &last[..4]);
    assert_eq!(names, ["conv", "conv", "conv", "pool", "conv", "add", "pool", "linear"]);
    let sum: u64 = model.steps().map(|step| step.cost(&model).unwrap().macs).sum();
    assert_eq!(model.macs(), sum);
}

/// Computed once by this code on x86-64: what every machine must give.
const RESIDUAL_OUTPUTS: [[i8; 4]; 3] = [[19, -26, 57, 12], [21, -29, 55, 12], [18, -21, 60, 12]];
const GRU_OUTPUTS: [[i8; 3]; 4] = [[-12, -9, -21], [-14, -3, -20], [-22, -1, -31], [-20, -2, -26]];
