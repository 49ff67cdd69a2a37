//! Layouts of directories and tars, and what is wrong with the others.

use std::path::Path;

use escarp_media::{Entry, Error, Folder, Kind};

/// Makes files (and, for names that end in `/`, directories) below a fresh directory; a file's content is its name.
fn directory(names: &[&str]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for name in names {
        let path = root.path().join(name);
        if name.ends_with('/') {
            std::fs::create_dir_all(&path).unwrap();
        } else {
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, name).unwrap();
        }
    }
    root
}

/// The same as a tar, in the order given.
fn archive(names: &[&str]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    let mut builder = tar::Builder::new(file.reopen().unwrap());
    for name in names {
        let mut header = tar::Header::new_ustar();
        header.set_mode(0o644);
        if name.ends_with('/') {
            header.set_entry_type(tar::EntryType::Directory);
            header.set_size(0);
            builder.append_data(&mut header, name, &b""[..]).unwrap();
        } else {
            header.set_size(name.len() as u64);
            builder.append_data(&mut header, name, name.as_bytes()).unwrap();
        }
    }
    builder.finish().unwrap();
    file
}

/// (name, label) of every sample, class names, number of entries passed over.
type Listed = (Vec<(String, Option<usize>)>, Vec<String>, usize);

/// What is listed, after checking that its bytes are its own; the same from directory and tar.
fn list(names: &[&str], kind: Kind) -> Result<Listed, Error> {
    let (directory, tar) = (directory(names), archive(names));
    let read = |path: &Path| {
        let folder = Folder::open(path, kind)?;
        let samples =
            folder.samples().map(|s| s.map(|s| (s.name.clone(), s.label, s.bytes))).collect::<Result<Vec<_>, _>>()?;
        for (name, _, bytes) in &samples {
            assert_eq!(bytes, name.as_bytes());
        }
        let pairs = samples.into_iter().map(|(name, label, _)| (name, label)).collect();
        Ok((pairs, folder.classes().to_vec(), folder.ignored()))
    };
    let (a, b) = (read(directory.path()), read(tar.path()));
    match (&a, &b) {
        (Ok(a), Ok(b)) => assert_eq!(a, b),
        (Err(_), Err(_)) => {}
        _ => panic!("directory and tar differ: {a:?} {b:?}"),
    }
    b
}

fn own(pairs: &[(&str, Option<usize>)]) -> Vec<(String, Option<usize>)> {
    pairs.iter().map(|&(n, l)| (n.to_owned(), l)).collect()
}

#[test]
fn image_folder_with_and_without_a_wrapping_folder() {
    for top in ["", "data/", "a/b/"] {
        let names = ["dog/2.jpg", "dog/1.PNG", "cat/9.jpeg", "cat/readme.txt"].map(|n| format!("{top}{n}"));
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let (samples, classes, ignored) = list(&names, Kind::Image).unwrap();
        let want = [(names[2], Some(0)), (names[1], Some(1)), (names[0], Some(1))];
        assert_eq!(samples, own(&want));
        assert_eq!((classes, ignored), (vec!["cat".to_owned(), "dog".to_owned()], 1));
    }
}

#[test]
fn labels_in_names_are_for_sound_and_tables() {
    let names = ["r/b_x_0.wav", "r/a_y_1.wav"];
    let (samples, classes, _) = list(&names, Kind::Sound).unwrap();
    assert_eq!(samples, own(&[("r/a_y_1.wav", Some(0)), ("r/b_x_0.wav", Some(1))]));
    assert_eq!(classes, ["a", "b"]);
    let (samples, classes, _) = list(&["b_x.csv", "a_1.csv", "notes/x.txt"], Kind::Table).unwrap();
    assert_eq!((samples[0].1, classes.len()), (Some(0), 2));
    let (samples, classes, _) = list(&["IMG_1.jpg", "IMG_2.jpg"], Kind::Image).unwrap();
    assert_eq!((samples[1].1, classes.len()), (None, 0));
}

/// The layout of IMDB's reviews: lists of links lie beside the classes, and texts of no class in a folder of their own.
#[test]
fn reviews_of_no_class_are_passed_over() {
    let names =
        ["train/pos/0_9.txt", "train/neg/0_3.txt", "train/neg/1_1.txt", "train/unsup/0_0.txt", "train/urls_pos.txt"];
    let (samples, classes, ignored) = list(&names, Kind::Text).unwrap();
    let wanted = [("train/neg/0_3.txt", Some(0)), ("train/neg/1_1.txt", Some(0)), ("train/pos/0_9.txt", Some(1))];
    assert_eq!((samples, ignored), (own(&wanted), 2));
    assert_eq!(classes, ["neg", "pos"]);
    assert_eq!(list(&["unsup/1.wav", "other/1.wav"], Kind::Sound).unwrap().1.len(), 2, "a class of any other kind");
}

#[test]
fn texts_of_no_class_alone_are_no_samples() {
    for names in [&["unsup/1.txt", "unsup/2.txt"][..], &["train/unsup/1.txt", "train/urls.txt"]] {
        let error = list(names, Kind::Text).unwrap_err().to_string();
        assert!(error.contains("nothing in it but the folder 'unsup'"), "{error}");
    }
    assert_eq!(list(&["unsup/a/1.txt", "unsup/b/1.txt"], Kind::Text).unwrap().1, ["a", "b"], "a wrapping folder");
}

/// 20,000 folders of a class each took half a minute: every folder looked at all files.
#[test]
fn many_class_folders_take_no_quadratic_time() {
    let names: Vec<String> = (0..20_000).map(|i| format!("c{i:05}/1.jpg")).collect();
    let tar = archive(&names.iter().map(String::as_str).collect::<Vec<_>>());
    let began = std::time::Instant::now();
    let folder = Folder::open(tar.path(), Kind::Image).unwrap();
    let labels: Vec<String> = folder.classes().iter().rev().cloned().collect();
    let folder = folder.with_classes(&labels).unwrap();
    assert_eq!((folder.len(), folder.entries()[0].label), (20_000, Some(19_999)));
    assert!(began.elapsed().as_secs() < 10, "{:?}", began.elapsed()); // well under 1 s on one slow core
}

#[test]
fn deep_and_endless_paths_in_a_tar_are_refused() {
    let error = |name: &str| Folder::open(archive(&[name]).path(), Kind::Image).unwrap_err().to_string();
    let deep = error(&format!("{}1.jpg", "a/".repeat(17)));
    assert!(deep.contains("more than 16 folders deep"), "{deep}");
    let hidden = format!(".git/{}x.jpg", "a/".repeat(17));
    assert_eq!(
        Folder::open(archive(&["1.jpg", &hidden]).path(), Kind::Image).unwrap().len(),
        1,
        "left out, not refused"
    );
    let long = error(&format!("{}/1.jpg", "a".repeat(5000)));
    assert!(long.contains("length of a path is 5006; at most 4096"), "{long}");
}

#[test]
fn one_class_alone_is_a_class() {
    let (samples, classes, _) = list(&["airplane/0.jpg"], Kind::Image).unwrap();
    assert_eq!((samples[0].1, classes), (Some(0), vec!["airplane".to_owned()]));
}

#[test]
fn what_is_wrong_is_named() {
    let error = |names: &[&str], kind| list(names, kind).unwrap_err().to_string();
    assert!(error(&["cat/1.jpg", "dog/"], Kind::Image).contains("class folder 'dog' is empty"));
    assert!(error(&["cat/1.jpg", "dog/1.txt"], Kind::Image).contains("class folder 'dog' is empty"));
    assert!(
        error(&["train/cat/1.jpg", "test/cat/1.jpg"], Kind::Image)
            .contains("class folder 'test' holds the folder 'test/cat'")
    );
    assert!(error(&["1.txt"], Kind::Image).contains("no .jpg, .jpeg, .png file"));
    assert!(error(&[], Kind::Sound).contains("no .wav file"));
    let missing = Folder::open("/nonexistent/folder", Kind::Image).unwrap_err().to_string();
    assert!(missing.starts_with("/nonexistent/folder: "), "{missing}");
}

#[test]
fn hidden_names_and_linked_folders_are_counted() {
    let root = directory(&["a/1.jpg", "b/1.jpg", ".git/x.jpg", "a/.2.jpg", "__MACOSX/a.jpg", "stray.jpg"]);
    std::os::unix::fs::symlink(root.path().join("a/1.jpg"), root.path().join("a/3.jpg")).unwrap();
    std::os::unix::fs::symlink(root.path(), root.path().join("loop")).unwrap();
    let folder = Folder::open(root.path(), Kind::Image).unwrap();
    assert_eq!((folder.len(), folder.ignored()), (3, 5));
}

#[test]
fn classes_of_a_network() {
    let root = directory(&["cat/1.jpg", "dog/1.jpg"]);
    let open = || Folder::open(root.path(), Kind::Image).unwrap();
    let labels = |names: &[&str]| names.iter().map(|&n| n.to_owned()).collect::<Vec<_>>();
    let folder = open().with_classes(&labels(&["bird", "dog", "cat"])).unwrap();
    assert_eq!(folder.entries()[0], Entry { name: "cat/1.jpg".into(), label: Some(2) });
    assert_eq!(folder.entries()[1].label, Some(1));
    let error = open().with_classes(&labels(&["dog", "bird"])).unwrap_err().to_string();
    assert!(error.contains("class 'cat' is not one of the network's: dog, bird"), "{error}");
    let flat = directory(&["1.jpg"]);
    let error =
        Folder::open(flat.path(), Kind::Image).unwrap().with_classes(&labels(&["cat"])).unwrap_err().to_string();
    assert!(error.contains("no labels"), "{error}");
}

#[test]
fn retain_keeps_bytes_with_names() {
    let tar = archive(&["a/1.jpg", "a/2.jpg", "b/1.jpg"]);
    let mut folder = Folder::open(tar.path(), Kind::Image).unwrap();
    folder.retain(|e| e.name != "a/1.jpg");
    assert_eq!(folder.len(), 2);
    assert_eq!(folder.read(0).unwrap().bytes, b"a/2.jpg");
    assert_eq!((folder.read(1).unwrap().label, folder.classes().len()), (Some(1), 2));
}

#[test]
fn the_later_of_two_tar_members_counts() {
    let tar = archive(&["a/1.jpg", "b/1.jpg"]);
    let mut bytes = std::fs::read(tar.path()).unwrap();
    bytes.truncate(2048);
    let doubled = [bytes.clone(), bytes].concat();
    std::fs::write(tar.path(), doubled).unwrap();
    let folder = Folder::open(tar.path(), Kind::Image).unwrap();
    assert_eq!((folder.len(), folder.ignored()), (2, 2));
}

/// Cut anywhere or with any bit turned, a tar is an error or a listing whose samples can be read or are errors.
#[test]
fn hostile_tars() {
    let tar = archive(&["a/1.jpg", "b/1.jpg", "b/2.jpg"]);
    let whole = std::fs::read(tar.path()).unwrap();
    let content = whole.len() - 1024; // two zero blocks end a tar
    for length in 0..content {
        std::fs::write(tar.path(), &whole[..length]).unwrap();
        if let Ok(folder) = Folder::open(tar.path(), Kind::Image) {
            assert!(folder.len() < 3 || length + 512 >= content, "cut to {length} and still whole");
        }
    }
    for bit in 0..content * 8 {
        let mut bytes = whole.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(tar.path(), &bytes).unwrap();
        if let Ok(folder) = Folder::open(tar.path(), Kind::Image) {
            folder.samples().for_each(drop);
        }
    }
}

#[test]
fn errors_name_tar_and_member() {
    let tar = archive(&["a/1.jpg", "b/1.jpg"]);
    let folder = Folder::open(tar.path(), Kind::Image).unwrap();
    std::fs::write(tar.path(), b"shrunk meanwhile").unwrap();
    let error = folder.read(1).unwrap_err().to_string();
    assert!(error.starts_with(&format!("{}: b/1.jpg: ", tar.path().display())), "{error}");
}
