//! The second wall, from inside: the test runs itself again as a process that puts the wall up.
#![cfg(target_os = "linux")]

use std::process::Command;

use qyvol_fs::Folder;
use qyvol_fs::landlock::{Reach, Wall, probe, restrict};

const INSIDE: &str = "QYVOL_TEST_LANDLOCK_FOLDER";

#[test]
fn the_wall_stands_or_says_why_not() {
    if let Some(folder) = std::env::var_os(INSIDE) {
        return stand_inside(folder.as_ref());
    }
    let folder = tempfile::tempdir().unwrap();
    for name in ["ro", "rw", "none"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
        std::fs::write(folder.path().join(name).join("file"), "text").unwrap();
    }
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "the_wall_stands_or_says_why_not", "--nocapture"])
        .env(INSIDE, folder.path())
        .status()
        .unwrap();
    assert!(status.success());
    // Neither the child's wall nor the probe's holds here.
    assert_eq!(probe(), probe());
    std::fs::write(folder.path().join("ro/file"), "changed").unwrap();
}

fn stand_inside(folder: &std::path::Path) {
    let promised = probe();
    let (ro, rw, none) = (folder.join("ro"), folder.join("rw"), folder.join("none"));
    let before = std::fs::File::open(none.join("file")).unwrap();
    let [kept_ro, kept_rw] = [&ro, &rw].map(|path| Folder::open(path).unwrap());
    // The wall is round the folder that was opened, not round what has its name now.
    std::fs::rename(&ro, folder.join("moved")).unwrap();
    std::fs::rename(&none, &ro).unwrap();
    let (ro, none) = (folder.join("moved"), ro);
    let wall = restrict(&[(&kept_ro, Reach::ReadOnly), (&kept_rw, Reach::ReadWrite)]).unwrap();
    assert_eq!(wall, promised);
    let Wall::Landlock { abi, .. } = wall else {
        assert!(wall.to_string().starts_with("none: "), "{wall}");
        std::fs::read(none.join("file")).unwrap();
        return;
    };
    assert!(abi >= 1);
    for refused in [
        std::fs::read(none.join("file")).err(),
        std::fs::read("/etc/passwd").err(),
        std::fs::read_dir(folder).err(),
        std::fs::write(none.join("file"), "").err(),
        std::fs::write(ro.join("file"), "").err(),
        std::fs::create_dir(ro.join("new")).err(),
        std::fs::remove_file(ro.join("file")).err(),
        std::fs::rename(rw.join("file"), none.join("file")).err(),
        std::os::unix::net::UnixListener::bind(rw.join("socket")).err(),
        Command::new("/bin/true").status().err(),
    ] {
        // A rename between folders is EXDEV, everything else EACCES.
        let kind = refused.expect("the wall must refuse").kind();
        assert!(
            matches!(kind, std::io::ErrorKind::PermissionDenied | std::io::ErrorKind::CrossesDevices),
            "{kind}"
        );
    }
    let thread = std::thread::spawn(move || std::fs::read(none.join("file")).is_err());
    assert!(thread.join().unwrap());
    assert_eq!(std::io::read_to_string(before).unwrap(), "text");
    assert_eq!(std::fs::read(ro.join("file")).unwrap(), b"text");
    std::fs::write(rw.join("file"), "new").unwrap();
    std::fs::create_dir(rw.join("new")).unwrap();
    std::fs::rename(rw.join("file"), rw.join("new/file")).unwrap();
    std::os::unix::fs::symlink("x", rw.join("link")).unwrap();
    std::fs::remove_dir_all(rw.join("new")).unwrap();
}
