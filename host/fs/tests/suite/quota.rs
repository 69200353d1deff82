//! The limits of a private volume.

use super::{CREATE, READ, WRITE, quota, serve, serve_with};
use qyv_vfs::{Budget, Error, FileSystem as _, OpenOptions};

use crate::DiskFs;

fn budgets() -> (Budget, Budget) {
    (Budget::new(100), Budget::new(5))
}

#[test]
fn growth_is_charged_and_writes_are_cut_at_the_end() {
    let (bytes, inodes) = budgets();
    let mut served = serve_with(quota(&bytes, &inodes));
    let file = served.create("file", &[1; 60]);
    assert_eq!((bytes.used(), inodes.used()), (60, 1));
    assert_eq!(served.fs.write_at(file, 0, &[&[2; 60]]), Ok(60));
    assert_eq!(bytes.used(), 60);
    assert_eq!(served.fs.write_at(file, 50, &[&[3; 40], &[4; 40]]), Ok(50));
    assert_eq!(bytes.used(), 100);
    assert_eq!(served.fs.write_at(file, 100, &[b"x"]), Err(Error::NOSPC));
    assert_eq!(served.fs.append(file, &[b"x"]), Err(Error::NOSPC));
    assert_eq!(served.fs.set_size(file, 101), Err(Error::NOSPC));
    assert_eq!(served.fs.allocate(file, 0, 101), Err(Error::NOSPC));
    assert_eq!(served.fs.attributes(file).unwrap().size, 100);
    served.fs.set_size(file, 10).unwrap();
    assert_eq!(bytes.used(), 10);
    assert_eq!(served.fs.append(file, &[&[5; 95]]), Ok((90, 100)));
}

#[test]
fn holes_are_charged() {
    let (bytes, inodes) = budgets();
    let mut served = serve_with(quota(&bytes, &inodes));
    let file = served.create("file", b"");
    assert_eq!(served.fs.write_at(file, 1 << 40, &[b"x"]), Err(Error::NOSPC));
    assert_eq!(served.fs.write_at(file, 100, &[b"x"]), Err(Error::NOSPC));
    assert_eq!(bytes.used(), 0);
    assert_eq!(served.fs.write_at(file, 99, &[b"xyz"]), Ok(1));
    assert_eq!(bytes.used(), 100);
    let truncate = OpenOptions { truncate: true, ..WRITE };
    served.fs.open(served.fs.root(), "file", &truncate).unwrap();
    assert_eq!(bytes.used(), 0);
    served.fs.allocate(file, 50, 50).unwrap();
    assert_eq!(bytes.used(), 100);
}

#[test]
fn inodes_are_counted_and_given_back() {
    let (bytes, inodes) = budgets();
    let mut served = serve_with(quota(&bytes, &inodes));
    let root = served.fs.root();
    served.fs.create_dir(root, "d").unwrap();
    served.fs.symlink("d", root, "l").unwrap();
    for name in ["a", "b", "c"] {
        let file = served.create(name, b"12345");
        served.fs.close(file);
    }
    assert_eq!((bytes.used(), inodes.used()), (15, 5));
    assert_eq!(served.fs.open(root, "e", &CREATE), Err(Error::NOSPC));
    if served.fs.resolves_paths() {
        assert_eq!(served.fs.open_path(root, "./e", true, &CREATE), Err(Error::NOSPC));
    }
    assert_eq!(served.fs.create_dir(root, "e"), Err(Error::NOSPC));
    assert_eq!(served.fs.symlink("x", root, "e"), Err(Error::NOSPC));
    assert_eq!(served.fs.create_dir(root, "d").unwrap_err(), Error::NOSPC);
    assert!(served.fs.open(root, "a", &CREATE).is_ok());

    served.fs.rename(root, "a", root, "b").unwrap();
    served.fs.close(served.fs.root());
    served.fs.unlink(root, "l").unwrap();
    served.fs.remove_dir(root, "d").unwrap();
    assert_eq!((bytes.used(), inodes.used()), (10, 2));
    // A second name costs an inode and no bytes.
    served.fs.link(root, "b", root, "b2").unwrap();
    served.fs.rename(root, "b", root, "b2").unwrap();
    assert_eq!((bytes.used(), inodes.used()), (10, 3));
    served.fs.link(root, "b", root, "b3").unwrap();
    served.fs.link(root, "b", root, "b4").unwrap();
    assert_eq!(served.fs.link(root, "b", root, "b5"), Err(Error::NOSPC));
    served.fs.unlink(root, "b3").unwrap();
    served.fs.unlink(root, "b4").unwrap();
    served.fs.unlink(root, "b").unwrap();
    assert_eq!((bytes.used(), inodes.used()), (10, 2));
    assert_eq!(served.fs.create_dir(root, "c"), Err(Error::EXIST));
    assert_eq!(inodes.used(), 2);
}

#[test]
fn a_removed_open_file_counts_until_its_last_handle_closes() {
    let (bytes, inodes) = budgets();
    let mut served = serve_with(quota(&bytes, &inodes));
    let root = served.fs.root();
    let writer = served.create("file", b"12345");
    let reader = served.fs.open(root, "file", &READ).unwrap().handle;
    served.fs.unlink(root, "file").unwrap();
    served.fs.append(writer, &[&[0; 90]]).unwrap();
    served.fs.close(writer);
    assert_eq!((bytes.used(), inodes.used()), (95, 1));
    served.fs.close(reader);
    assert_eq!((bytes.used(), inodes.used()), (0, 0));
}

#[test]
fn what_is_there_is_counted_and_may_shrink() {
    let served = serve();
    std::fs::create_dir(served.path().join("d")).unwrap();
    std::fs::write(served.path().join("d/a"), [0; 80]).unwrap();
    std::fs::write(served.path().join("b"), [0; 70]).unwrap();
    std::fs::hard_link(served.path().join("b"), served.path().join("b2")).unwrap();
    std::os::unix::fs::symlink("..", served.path().join("up")).unwrap();
    let (bytes, inodes) = budgets();
    let mut fs = DiskFs::open(&served.path(), quota(&bytes, &inodes)).unwrap();
    let root = fs.root();
    // 150 of 100 bytes: everything is readable, nothing grows until 51 bytes are gone.
    assert_eq!((bytes.used(), inodes.used()), (100, 5));
    let file = fs.open(root, "b", &WRITE).unwrap().handle;
    assert_eq!(fs.append(file, &[b"x"]), Err(Error::NOSPC));
    fs.set_size(file, 20).unwrap();
    assert_eq!(bytes.used(), 100);
    fs.set_size(file, 19).unwrap();
    assert_eq!(fs.append(file, &[b"xy"]), Ok((1, 20)));
    drop(fs);
    assert_eq!((bytes.used(), inodes.used()), (0, 0));
}

#[test]
fn a_tree_deeper_than_any_path_is_counted() {
    let (bytes, inodes) = (Budget::unlimited(), Budget::unlimited());
    let mut served = serve_with(quota(&bytes, &inodes));
    let mut at = served.fs.root();
    // 1100 names of 200 bytes: a path may have 4096 bytes, and a process often 1024 descriptors.
    let name = "d".repeat(200);
    for _ in 0..1100 {
        served.fs.create_dir(at, &name).unwrap();
        let inner = served.fs.lookup(at, &name).unwrap();
        served.fs.close(at);
        at = inner;
    }
    served.fs.open(at, "file", &CREATE).unwrap();
    assert_eq!(inodes.used(), 1101);
    let path = served.path();
    let again = (Budget::unlimited(), Budget::unlimited());
    let fs = DiskFs::open(&path, quota(&again.0, &again.1)).unwrap();
    assert_eq!(again.1.used(), 1101);
    drop(fs);
    // What removes the folder afterwards may not reach that deep.
    assert!(std::process::Command::new("rm").arg("-r").arg(path.join(&name)).status().unwrap().success());
}
