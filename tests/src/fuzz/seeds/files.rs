//! Pictures, sounds, tables, arrays, archives, logs.

use escarp_media::{Image, Npy, Pcm};

use crate::root;

/// The pictures of the media crate's tests, and one of our own.
pub fn images() -> Vec<(String, Vec<u8>)> {
    let folder = root().join("runtime/media/tests/jpeg");
    let entries = std::fs::read_dir(&folder).unwrap_or_else(|e| panic!("{}: {e}", folder.display()));
    let mut files: Vec<_> = entries.map(|e| e.expect("a listed file").path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "jpg"));
    files.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        (name, std::fs::read(path).unwrap_or_else(|e| panic!("{}: {e}", path.display())))
    };
    let mut all: Vec<_> = files.iter().map(read).collect();
    let pixels = (0..189u8).map(|i| i.wrapping_mul(i)).collect();
    let image = Image { width: 9, height: 7, pixels };
    all.push(("png".into(), image.encode_png().expect("a small picture")));
    all.push(("palette".into(), png(3, 2, &[0x12], &[255, 0, 0, 0, 255, 0, 9, 9, 9])));
    all
}

/// A PNG of one row with 2 bits a pixel, in one stored block: `colour` is its colour type, `palette` its PLTE chunk.
pub fn png(width: u8, colour: u8, row: &[u8], palette: &[u8]) -> Vec<u8> {
    let mut file = b"\x89PNG\r\n\x1a\n".to_vec();
    let mut chunk = |kind: &[u8; 4], data: &[u8]| {
        file.extend(u32::try_from(data.len()).expect("short").to_be_bytes());
        let body = [kind, data].concat();
        file.extend(&body);
        file.extend(crc32fast::hash(&body).to_be_bytes());
    };
    let bits = if colour == 3 { 2 } else { 8 };
    chunk(b"IHDR", &[0, 0, 0, width, 0, 0, 0, 1, bits, colour, 0, 0, 0]);
    chunk(b"PLTE", palette);
    // Filter 0 in front of the row; zlib's header, one stored block, Adler-32.
    let data = [&[0], row].concat();
    let len = u16::try_from(data.len()).expect("short");
    let (mut a, mut b) = (1u32, 0u32);
    for byte in &data {
        a = (a + u32::from(*byte)) % 65_521;
        b = (b + a) % 65_521;
    }
    let sum = (b << 16 | a).to_be_bytes();
    chunk(b"IDAT", &[&[0x78, 1, 1], &len.to_le_bytes()[..], &(!len).to_le_bytes(), &data, &sum].concat());
    chunk(b"IEND", &[]);
    file
}

/// What the target `data` takes: a front end's number, a name's number, content.
pub fn data() -> Vec<(String, Vec<u8>)> {
    let wav = Pcm { rate: 8000, samples: (0..400).map(|i| i * 70 - 14_000).collect() }.encode().expect("a short sound");
    let values: Vec<f32> = (0..6u8).map(f32::from).collect();
    let all: [(&str, [u8; 2], Vec<u8>); 7] = [
        ("wav", [2, 0], wav),
        ("csv", [3, 1], b"ax,ay,az\n1.5,-2,3\n3,4e3,0\n0.1,.5,1\n".to_vec()),
        ("csv-labelled", [3, 1], b"\"ax\";label;ay\n1.5;walk;-2\n3;;4e3\n".to_vec()),
        ("npy", [0, 2], Npy::encode_f32(&[1, 6], &values)),
        ("text", [0, 3], "Zwei W\u{f6}rter, and don't.\n".into()),
        ("picture", [1, 4], images().pop().expect("the palette").1),
        ("bytes", [0, 5], vec![1, 2, 3, 4, 5, 250]),
    ];
    all.into_iter().map(|(name, head, content)| (name.to_owned(), [&head[..], &content].concat())).collect()
}

/// A ustar archive; names that end in a slash are folders.
pub fn tar(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = Vec::new();
    for (name, content) in files {
        let mut header = [0; 512];
        header[..name.len()].copy_from_slice(name.as_bytes());
        header[100..108].copy_from_slice(b"0000644\0");
        header[108..116].copy_from_slice(b"0000000\0");
        header[116..124].copy_from_slice(b"0000000\0");
        header[124..136].copy_from_slice(format!("{:011o}\0", content.len()).as_bytes());
        header[136..148].copy_from_slice(b"00000000000\0");
        header[148..156].fill(b' ');
        header[156] = if name.ends_with('/') { b'5' } else { b'0' };
        header[257..265].copy_from_slice(b"ustar\x0000");
        let sum: u32 = header.iter().map(|&b| u32::from(b)).sum();
        header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
        archive.extend(header);
        archive.extend(*content);
        archive.resize(archive.len().next_multiple_of(512), 0);
    }
    archive.resize(archive.len() + 1024, 0);
    archive
}

/// One of each layout.
pub fn tars() -> Vec<(String, Vec<u8>)> {
    type Files<'a> = &'a [(&'a str, &'a [u8])];
    let all: [(&str, Files); 4] = [
        ("class-folders", &[("d/", b""), ("d/cat/1.png", b"x"), ("d/dog/1.png", b"yz"), ("d/dog/2.jpg", b"")]),
        ("labels-in-names", &[("no_1.wav", b"x"), ("yes_1.wav", b"yz"), ("yes_2.csv", b"a\n1\n")]),
        ("plain", &[("./a.npy", b"x"), ("b.npy", b"yz"), (".hidden", b"")]),
        ("texts", &[("neg/1.txt", b"bad"), ("pos/1.txt", b"good"), ("unsup/1.txt", b"?")]),
    ];
    all.into_iter().map(|(name, files)| (name.to_owned(), tar(files))).collect()
}

/// Health logs as escarp-train, PyTorch and Keras write them.
pub const LOGS: &[(&str, &str)] = &[
    (
        "full",
        concat!(
            r#"{"step": 40, "epoch": 1, "batch": 32, "planned_steps": 1500, "baseline_loss": 2.303, "loss": 2.31, "accuracy": 0.12, "rate": 0.1, "gradient_norm": 0.42, "clipped": false, "validation_loss": 2.3, "layers": [{"name": "conv1", "kind": "convolution", "activation": "relu", "normalized": true, "weight_norm": 3.1, "weight_gain": 1.4, "gradient_norm": 2e-9, "zero_gradients": 0.2, "update_ratio": 1e-10, "largest_weight": 0.6, "activation_mean": 0.4, "activation_std": 0.6, "activation_zeros": 0.5, "activation_saturated": null, "dead_units": 0.1, "activation_gradient_norm": 1e-9, "time_gradient_ratio": null, "non_finite": null, "gradient_histogram": [0, 0, 1]}]}"#,
            "\n",
        ),
    ),
    (
        "three",
        "{\"step\": 0, \"loss\": 2.3, \"layers\": [{\"name\": \"a\", \"gradient_norm\": 1}, {\"name\": \"b\", \"gradient_norm\": 1e-9}]}\n\
         {\"step\": 10, \"loss\": 2.2, \"layers\": [{\"name\": \"a\", \"gradient_norm\": 2}, {\"name\": \"b\", \"gradient_norm\": 1e-9}]}\n\
         {\"step\": 20, \"loss\": NaN, \"gradient_norm\": Infinity, \"layers\": []}\n",
    ),
];
