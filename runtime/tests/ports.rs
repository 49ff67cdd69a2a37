//! Several inputs and outputs, by place and by name, of 8, 16 and 32 bits, and what of them is refused.

mod writer;

use escarp_runtime::{
    AccessError, Cpu, Dtype, Error, Field, Meaning, MetaError, Model, PortError, Session, StepError, TensorError,
    format::{HEADER, Header, PORT, PortRecord, STEP, TENSOR, VERSION, seal},
    meta::{Tag, emit_entry, emit_label},
    ops::{AddStep, Combine, ConvStep, Step},
};
use writer::{Random, Writer, gru_net, residual_net};

/// Two int8 inputs and their sum; an int16 input and an int32 one that are outputs as they are; names of all lengths.
fn wide_net() -> Vec<u8> {
    let mut net = Writer::default();
    let [left, right, sum] = [0.5, 0.25, 0.5].map(|scale| net.tensor([2, 3, 5], scale, -3));
    let (gains, counts) = (net.wide([2, 1, 3], Dtype::I16), net.wide([1, 1, 4], Dtype::I32));
    let multipliers = [4096, 2048];
    net.steps.push(Step::from(AddStep {
        combine: Combine::Sum,
        a: left,
        b: right,
        output: sum,
        multipliers,
        min: -128,
        max: 127,
    }));
    let mut labels = Vec::new();
    (0..6).for_each(|i| emit_label(&mut labels, &format!("gain {i}")));
    emit_entry(&mut net.meta, Tag::Labels, 2, &labels);
    let plain = |name, id| (name, id, Meaning::Plain);
    let inputs = [plain("left", left), plain("r", right), plain("gains", gains), plain("Zähler", counts)];
    let outputs = [("sum", sum, Meaning::Sigmoid), plain("Zähler", counts), plain("gains", gains)];
    net.finish_with(&inputs, &outputs, 1)
}

fn refused(file: &[u8]) -> Error {
    Model::parse(file).map(drop).expect_err("refused")
}

/// Changes a port's record: inputs first, then outputs.
fn port(mut file: Vec<u8>, index: usize, edit: impl FnOnce(&mut PortRecord)) -> Error {
    let at = Header::parse(&file).unwrap().ports_at as usize + index * PORT;
    let record: &mut [u8; PORT] = (&mut file[at..at + PORT]).try_into().unwrap();
    let mut port = PortRecord::parse(record).unwrap();
    edit(&mut port);
    *record = port.emit();
    seal(&mut file);
    refused(&file)
}

#[test]
fn what_the_model_says_of_its_ports() {
    let file = wide_net();
    let model = Model::parse(&file).unwrap();
    assert_eq!(model.inputs().to_string(), "left, r, gains, Zähler");
    assert_eq!(
        model.outputs().map(|p| p.meaning).collect::<Vec<_>>(),
        [Meaning::Sigmoid, Meaning::Plain, Meaning::Plain]
    );
    assert_eq!(
        model.inputs().map(|p| p.tensor.dtype).collect::<Vec<_>>(),
        [Dtype::I8, Dtype::I8, Dtype::I16, Dtype::I32]
    );
    assert_eq!(model.outputs().number_of("gains"), Some(2));
    assert_eq!(model.outputs().number_of("left"), None);
    assert_eq!(model.inputs().nth(1).map(|port| port.tensor.scale), Some(0.25), "a scale of its own");
    assert_eq!((model.inputs().len(), model.inputs().skip(1).len()), (4, 3));
    assert!(!model.is_simple() && Model::parse(&residual_net()).unwrap().is_simple());
    assert!(model.meta(Tag::Labels, 2).is_some() && model.labels().next().is_none());
}

#[test]
fn values_go_in_and_come_out_by_place_and_by_name() {
    let file = wide_net();
    let model = Model::parse(&file).unwrap();
    for (poison, cpu) in [(0, Cpu::PORTABLE), (-91, Cpu::compiled())] {
        let mut memory = vec![poison; model.buffer_len() + 5];
        let mut session = Session::new(&model, &mut memory[5..], cpu).unwrap();
        let mut random = Random(40);
        for _ in 0..3 {
            let [left, right] = [(); 2].map(|()| random.activations(30));
            let gains: Vec<i16> = (0..6).map(|_| random.next() as i16).collect();
            let counts: Vec<i32> = (0..4).map(|_| random.next().wrapping_mul(7) as i32).collect();
            session.set_input("left", &left).unwrap();
            session.set_input(1, &right).unwrap();
            session.set_input("Zähler", &counts).unwrap();
            assert_eq!(session.infer(), Err(Error::Unset { index: 2 }));
            session.set_input(2, &gains).unwrap();
            session.infer().unwrap();
            // Twice: reading changes nothing.
            for _ in 0..2 {
                let sums: &[i8] = session.output("sum").unwrap();
                for ((&a, &b), &y) in left.iter().zip(&right).zip(sums) {
                    let want = (((a as i32 + 3) * 4096 + (b as i32 + 3) * 2048 + 2048) >> 12) - 3;
                    assert_eq!(y as i32, want.clamp(-128, 127));
                }
                assert_eq!(session.output::<i16>("gains").unwrap(), gains);
                assert_eq!(session.output::<i32>(1).unwrap(), counts);
            }
        }
    }
}

#[test]
fn wrong_access_says_what_there_is() {
    let file = wide_net();
    let model = Model::parse(&file).unwrap();
    let mut memory = vec![0; model.buffer_len()];
    let mut session = Session::new(&model, &mut memory, Cpu::PORTABLE).unwrap();
    let text = |result: Result<(), AccessError>| result.unwrap_err().to_string();
    let unknown = session.set_input("lfet", &[0i8]);
    assert_eq!(Error::from(unknown.unwrap_err()), Error::NoPort { field: Field::Input, count: 4 });
    assert_eq!(text(unknown), "no input `lfet`; there are: left, r, gains, Zähler");
    assert_eq!(text(session.set_input(4, &[0i8])), "no input number 4; there are: left, r, gains, Zähler");
    assert_eq!(text(session.output::<i8>("left").map(drop)), "no output `left`; there are: sum, Zähler, gains");
    assert_eq!(text(session.set_input("gains", &[0i8; 6])), "input 2: its values are int16, not int8");
    assert_eq!(text(session.set_input("gains", &[0i16; 7])), "input 2: 6 values needed, 7 given");
    assert_eq!(text(session.output::<i16>(0).map(drop)), "output 0: its values are int8, not int16");
    assert_eq!(session.run(&[0; 30]), Err(Error::Several { inputs: 4, outputs: 3 }));
    assert_eq!(session.infer(), Err(Error::Unset { index: 0 }), "nothing was set");
}

/// An error outlives file and session, and long lists are cut where a character ends.
#[test]
fn wrong_access_stands_for_itself() -> Result<(), Box<dyn std::error::Error>> {
    let said = {
        let mut net = Writer::default();
        let ids: Vec<_> = (0..6).map(|_| net.tensor([1, 1, 5], 1.0, 0)).collect();
        let names: Vec<String> = (0..6).map(|i| format!("Eingang der Größe {i}")).collect();
        let inputs: Vec<_> = names.iter().zip(&ids).map(|(name, &id)| (name.as_str(), id, Meaning::Plain)).collect();
        let file = net.finish_with(&inputs, &[("y", ids[0], Meaning::Plain)], 1);
        let model = Model::parse(&file)?;
        let mut memory = vec![0; model.buffer_len()];
        let mut session = Session::new(&model, &mut memory, Cpu::PORTABLE)?;
        session.set_input("Eingang der Größe 3", &[0i8; 5])?;
        session.set_input("ein Name, der länger ist als alle anderen", &[0i8; 5]).unwrap_err()
    };
    let text = said.to_string();
    assert!(
        text.starts_with("no input `ein Name, der länger ist als ...; there are: Eingang der Größe 0, Eingang"),
        "{text}"
    );
    assert!(text.ends_with("...") && text.len() < 160, "{text}");
    assert_eq!(Error::from(said), Error::NoPort { field: Field::Input, count: 6 });
    Ok(())
}

/// What a fused sum reads where its output will lie must be int8 as that is.
#[test]
fn a_wide_input_is_no_residual_operand() {
    let mut net = Writer::default();
    let x = net.tensor([1, 1, 8], 1.0, 0);
    let w = net.wide([1, 1, 8], Dtype::I16);
    let sum = net.alias(w, 1.0, 0);
    net.tensors[sum as usize].dtype = Dtype::I8;
    let [weights, params] = net.matrix(&writer::Matrix::random(&mut Random(5), 8, 1, 8, 30));
    net.steps.push(Step::from(ConvStep {
        input: x,
        output: sum,
        kernel: [1; 2],
        stride: [1; 2],
        dilation: [1; 2],
        pad: [0; 2],
        weights,
        params,
        min: -128,
        max: 127,
        residual: Some((0, 4096)),
        groups: None,
    }));
    let plain = |name, id| (name, id, Meaning::Plain);
    let error = refused(&net.finish_with(&[plain("x", x), plain("w", w)], &[plain("y", sum)], 1));
    assert_eq!(error, Error::Step { index: 0, reason: StepError::Unwritten { id: sum } });
}

/// An output is what the last inference left, or an error: never what came to lie there since.
#[test]
fn no_result_without_an_inference() {
    let file = residual_net();
    let model = Model::parse(&file).unwrap();
    let mut memory = vec![0; model.buffer_len()];
    let mut session = Session::new(&model, &mut memory, Cpu::PORTABLE).unwrap();
    let refused = |session: &Session| session.output::<i8>(0).map(drop).map_err(Error::from) == Err(Error::NoResult);
    let input = Random(3).activations(model.input().elements() as usize);
    assert!(refused(&session), "not yet");
    let first = session.run(&input).unwrap().to_vec();
    assert_eq!(session.output::<i8>("y").unwrap(), first);
    session.set_input("x", &input).unwrap();
    assert!(refused(&session), "its memory may serve the input");
    session.infer().unwrap();
    assert_eq!(session.output::<i8>("y").unwrap(), first);
    assert_eq!(session.infer(), Err(Error::Unset { index: 0 }), "an input holds for one inference");
    assert_eq!(session.output::<i8>("y").unwrap(), first, "and a refusal changes nothing");
    session.reset();
    assert!(refused(&session));
}

#[test]
fn a_state_may_be_an_output_and_no_input() {
    let mut net = Writer::default();
    let x = net.tensor([1, 1, 5], 1.0, 0);
    let h = net.state(5);
    let plain = |name, id| [(name, id, Meaning::Plain)];
    let file = net.finish_with(&plain("x", x), &[("h", h, Meaning::State)], 1);
    let model = Model::parse(&file).unwrap();
    let mut memory = vec![3; model.buffer_len()];
    let mut session = Session::new(&model, &mut memory, Cpu::PORTABLE).unwrap();
    session.set_input(0, &[1i8; 5]).unwrap();
    session.infer().unwrap();
    assert_eq!(session.output::<i16>("h").unwrap(), [0; 5]);
    assert!(matches!(session.run(&[0; 5]), Err(Error::Element { field: Field::Output, .. })), "int16");

    let mut net = Writer::default();
    let (x, h) = (net.tensor([1, 1, 5], 1.0, 0), net.state(5));
    let error = refused(&net.finish_with(&plain("h", h), &plain("x", x), 1));
    assert_eq!(error, Error::Port { field: Field::Input, index: 0, reason: PortError::State { id: h } });
    let mut net = Writer::default();
    let (x, h) = (net.tensor([1, 1, 5], 1.0, 0), net.state(5));
    net.tensors[h as usize].width = 2;
    net.states_len = 32;
    let error = refused(&net.finish_with(&plain("x", x), &plain("h", h), 1));
    assert_eq!(error, Error::Port { field: Field::Output, index: 0, reason: PortError::Padded { id: h } });
}

#[test]
fn wrong_ports_are_refused_where_they_stand() {
    let input = |index, reason| Error::Port { field: Field::Input, index, reason };
    let output = |index, reason| Error::Port { field: Field::Output, index, reason };
    assert_eq!(port(wide_net(), 1, |p| p.tensor = 99), input(1, PortError::NoTensor { id: 99 }));
    assert_eq!(port(wide_net(), 1, |p| p.tensor = 0), input(1, PortError::Shared { index: 0 }));
    assert_eq!(port(wide_net(), 6, |p| p.tensor = 4), output(2, PortError::Shared { index: 1 }));
    assert_eq!(port(wide_net(), 2, |p| p.name_len = 0), input(2, PortError::Name));
    assert_eq!(port(wide_net(), 3, |p| p.name_len -= 5), input(3, PortError::Name), "not UTF-8");
    assert_eq!(port(wide_net(), 3, |p| p.name = u32::MAX), input(3, PortError::Name));
    let twice = port(wide_net(), 3, |p| (p.name, p.name_len) = (4, 1));
    assert_eq!(twice, input(3, PortError::NameTwice { index: 1 }));
    assert_eq!(twice.to_string(), "input 3: has the name of number 1");
    let mut net = Writer::default();
    let (x, y) = (net.tensor([1, 1, 5], 1.0, 0), net.tensor([1, 1, 5], 1.0, 0));
    let plain = |name, id| (name, id, Meaning::Plain);
    let error = refused(&net.finish_with(&[plain("x", x)], &[plain("x", x), plain("y", y)], 1));
    assert_eq!(error, output(1, PortError::Unwritten { id: y }));
}

#[test]
fn metadata_are_about_ports_that_exist() {
    let with = |tag, port, content: &[u8]| {
        let mut net = Writer::default();
        let x = net.tensor([1, 1, 5], 1.0, 0);
        emit_entry(&mut net.meta, tag, port, content);
        match refused(&net.finish_with(&[("x", x, Meaning::Plain)], &[("y", x, Meaning::Plain)], 1)) {
            Error::Meta { at: 0, reason } => reason,
            other => panic!("{other}"),
        }
    };
    assert_eq!(with(Tag::Labels, 1, &[]), MetaError::Port { port: 1 });
    assert_eq!(with(Tag::Labels, 0, &[0; 4]), MetaError::Labels { found: 1 });
    assert_eq!(with(Tag::Name, 1, b"a"), MetaError::Port { port: 1 });
    assert_eq!(with(Tag::Columns, 40, &[]), MetaError::Port { port: 40 });
}

/// One rule for all records: a flag, a code or a reserved byte that means nothing here is refused where it stands.
#[test]
fn what_is_unknown_is_refused_in_every_record() {
    let flip = |file: &[u8], at: usize, bits: u8| {
        let mut file = file.to_vec();
        file[at] |= bits;
        seal(&mut file);
        refused(&file)
    };
    let wide = wide_net();
    let header = Header::parse(&wide).unwrap();
    for at in 100..HEADER {
        assert_eq!(flip(&wide, at, 1), Error::Reserved { at: at as u32 });
    }
    let tensors = header.tensors_at as usize;
    for at in 17..TENSOR {
        let reason = TensorError::Reserved { at: at as u8 };
        assert_eq!(flip(&wide, tensors + TENSOR + at, 0x80), Error::Tensor { index: 1, reason });
    }
    for at in 10..PORT {
        let reason = PortError::Reserved { at: at as u8 };
        let error = flip(&wide, header.ports_at as usize + 5 * PORT + at, 1);
        assert_eq!(error, Error::Port { field: Field::Output, index: 1, reason });
    }
    assert!(matches!(flip(&wide, header.ports_at as usize + 3, 1), Error::Port { .. }), "meaning 256");
    for at in 20..STEP {
        let error = flip(&wide, header.steps_at as usize + at, 1);
        assert!(error.to_string().ends_with("means nothing here"), "{error}");
    }
    // Between sections, and behind the last one.
    let end = (header.names_at + header.names_len) as usize;
    assert_eq!(flip(&wide, end, 1), Error::Reserved { at: end as u32 });
    for file in [residual_net(), gru_net()] {
        let header = Header::parse(&file).unwrap();
        let gap = (header.steps_at as usize + header.steps as usize * STEP..header.consts_at as usize).next();
        if let Some(at) = gap {
            assert_eq!(flip(&file, at, 1), Error::Reserved { at: at as u32 });
        }
    }
}

#[test]
fn other_versions_are_refused_by_number() {
    for (version, remedy) in [(1u16, "convert the model again"), (2, "convert the model again"), (4, "a newer runtime")]
    {
        let mut file = residual_net();
        file[8..10].copy_from_slice(&version.to_le_bytes());
        seal(&mut file);
        let error = refused(&file);
        assert_eq!(error, Error::Version { found: version, reads: VERSION });
        let text = error.to_string();
        assert!(text.contains(&format!("version {version}")) && text.contains(remedy), "{text}");
    }
}
