//! Paths: each row is a call and what Linux answers (seen on ext4 and tmpfs), with `NOTCAPABLE` where a path would
//! leave its directory. The same rows go through the walk by components and through a file system that resolves
//! whole paths.

use std::format;
use std::string::String;
use std::vec::Vec;

use super::support::{Dice, Watch, Watched, World, mem};
use crate::{Access, Error, OpenOptions};

const TREE: &str = "
    mkdir d
    mkdir d/e
    write f text
    write d/g inner
    symlink d ld
    symlink f lf
    symlink nope ln
    symlink new/ lslash
    symlink /f labs
    symlink .. lup
    symlink ../f d/lf2
    symlink ../../f d/lout
    symlink d/e/../g lg
    symlink . ldot
    symlink loop loop
    symlink ld/ lld
";

const CALLS: &str = "
    # Nothing, absolute, too long.
    stat '' => NOENT
    stat / => NOTCAPABLE
    stat /f => NOTCAPABLE
    open r //f => NOTCAPABLE
    mkdir /new => NOTCAPABLE
    stat *256:a => NAMETOOLONG
    stat *255:a => NOENT
    open c *256:a => NAMETOOLONG
    mkdir *256:a => NAMETOOLONG
    stat no/*256:a => NOENT
    stat d/*256:a;/x => NAMETOOLONG
    stat *2000:./ => dir
    stat *2049:./ => NAMETOOLONG

    # `..` and links upwards.
    stat . => dir
    stat d/.. => dir
    stat d/../f => file
    stat d/e/../../f => file
    stat .. => NOTCAPABLE
    stat ../f => NOTCAPABLE
    stat d/../.. => NOTCAPABLE
    stat d/../../f => NOTCAPABLE
    stat no/../.. => NOENT
    stat f/.. => NOTDIR
    stat f/. => NOTDIR
    stat f/../f => NOTDIR
    stat labs => NOTCAPABLE
    lstat labs => link
    stat labs/x => NOTCAPABLE
    open r labs => NOTCAPABLE
    open cw labs => NOTCAPABLE
    utime labs => NOTCAPABLE
    linkf labs new => NOTCAPABLE
    mkdir labs/x => NOTCAPABLE
    stat lup => NOTCAPABLE
    lstat lup => link
    stat lup/x => NOTCAPABLE
    unlink lup/f => NOTCAPABLE
    rename f lup/f => NOTCAPABLE
    rename lup/f f => NOTCAPABLE
    symlink x lup/x => NOTCAPABLE
    link f lup/x => NOTCAPABLE
    rmdir .. => NOTCAPABLE
    stat d/lf2 => file
    stat d/lout => NOTCAPABLE
    cat ld/lf2 => text
    cat lg => inner
    cat ldot/ldot/d/../ld/e/../g => inner
    stat loop => LOOP
    lstat loop => link
    stat loop/x => LOOP
    open r loop => LOOP
    open cw loop => LOOP
    linkf loop new => LOOP

    # Last links.
    stat lf => file
    lstat lf => link
    open r lf => file
    open rn lf => LOOP
    open cn lf => LOOP
    open dn ld => NOTDIR
    open dn lf => NOTDIR
    open d lf => NOTDIR
    open d ld => dir
    open d lld => dir
    open cx lf => EXIST
    open cx ln => EXIST
    open r ln => NOENT
    readlink lf => f
    readlink f => INVAL
    readlink d => INVAL
    readlink . => INVAL
    readlink no => NOENT
    readlink ld/ => INVAL
    readlink lf/ => NOTDIR
    readlink ln/ => NOENT
    readlink d/lf2 => ../f

    # Trailing slashes.
    stat d/ => dir
    stat d// => dir
    stat f/ => NOTDIR
    lstat ld/ => dir
    lstat lf/ => NOTDIR
    lstat ln/ => NOENT
    lstat lld/ => dir
    stat no/ => NOENT
    open r d/ => dir
    open rn ld/ => dir
    open r f/ => NOTDIR
    open c new/ => ISDIR
    open cw f/ => ISDIR
    open cx d/ => ISDIR
    open cw lslash => ISDIR
    open cw ln/ => ISDIR
    utime f/ => NOTDIR
    utime no/ => NOENT
    lutime ld/
    lutime lf/ => NOTDIR
    unlink f/ => NOTDIR
    unlink d/ => ISDIR
    unlink ld/ => NOTDIR
    unlink no/ => NOENT
    rmdir ld/ => NOTDIR
    rmdir f/ => NOTDIR
    rmdir no/ => NOENT
    mkdir ln/ => EXIST
    mkdir f/ => EXIST
    mkdir new1/
    rmdir new1/
    symlink x new/ => NOENT
    symlink x d/ => EXIST
    link f new/ => NOENT
    link f d/ => EXIST
    link f/ new => NOTDIR
    link ld/ new => PERM
    link no/ new => NOENT
    rename f new/ => NOTDIR
    rename f/ new => NOTDIR
    rename f d/ => NOTDIR
    rename ld/ new => NOTDIR
    rename no d/ => NOENT
    rename d/ moved/
    rename moved d

    # `.` and `..` as the last name.
    open r . => dir
    open d d/. => dir
    open r d/.. => dir
    open c . => ISDIR
    open w . => ISDIR
    open t d/. => ISDIR
    open cx . => EXIST
    mkdir . => EXIST
    mkdir d/.. => EXIST
    mkdir no/. => NOENT
    symlink x . => EXIST
    link f . => EXIST
    link . new => PERM
    link . f => EXIST
    link d/. new => PERM
    rmdir . => INVAL
    rmdir d/. => INVAL
    rmdir d/e/.. => NOTEMPTY
    unlink . => ISDIR
    unlink d/.. => ISDIR
    rename f . => BUSY
    rename no . => BUSY
    rename d/. new => BUSY
    rename f d/e/.. => BUSY
    utime .
    utime d/..

    # Kinds.
    stat f/x => NOTDIR
    mkdir f/x => NOTDIR
    open cw f/x => NOTDIR
    rename f/x new => NOTDIR
    open cd d => INVAL
    open cd new => INVAL
    open t d => ISDIR
    open w d => ISDIR
    open c d => ISDIR
    open cx d => EXIST
    open r d => dir
    open d f => NOTDIR
    open r f => file
    open r no => NOENT
    open c no/x => NOENT
    mkdir d => EXIST
    mkdir f => EXIST
    mkdir ln => EXIST
    mkdir no/x => NOENT
    rmdir f => NOTDIR
    rmdir ld => NOTDIR
    rmdir d => NOTEMPTY
    rmdir no => NOENT
    unlink d => ISDIR
    unlink no => NOENT
    link d new => PERM
    link d f => EXIST
    link no f => NOENT
    link lf l2
    lstat l2 => link
    unlink l2
    linkf lf l2
    lstat l2 => file
    links f => 2
    rename f l2
    links f => 2
    unlink l2
    linkf d/lf2 l2
    cat l2 => text
    unlink l2
    linkf ln l2 => NOENT
    linkf ld l2 => PERM
    symlink '' l2 => NOENT
    symlink *4096:a l2 => NAMETOOLONG
    symlink *4095:a l2
    stat l2 => NAMETOOLONG
    unlink l2

    # Renames.
    rename d d
    rename d d/e/x => INVAL
    rename d d/e => INVAL
    rename d/e d => NOTEMPTY
    rename f d => ISDIR
    rename d/g d => NOTEMPTY
    rename d f => NOTDIR
    rename d ld => NOTDIR
    rename no f => NOENT
    mkdir empty
    write empty/x 1
    rename d/e empty => NOTEMPTY
    unlink empty/x
    rename d/e empty
    rename empty d/e
    links d => 3
    rename ld lf
    readlink lf => d
    symlink d ld
    unlink lf
    symlink f lf

    # Through dangling links.
    open cw ln => file
    stat nope => file
    unlink nope
    ls d => e,g,lf2,lout
    ls lld => e,g,lf2,lout
";

fn worlds() -> [World; 2] {
    [false, true].map(|paths| {
        let mut world = World::new(paths);
        world.check(TREE);
        world
    })
}

#[test]
fn every_call_answers_as_linux() {
    for mut world in worlds() {
        world.check(CALLS);
        // Everything that the rows made is gone again.
        world.check("ls . => d,f,labs,ld,ldot,lf,lg,lld,ln,loop,lslash,lup");
    }
}

#[test]
fn a_start_below_the_root_is_not_left() {
    for mut world in worlds() {
        let options = OpenOptions { directory: true, ..OpenOptions::default() };
        let (inner, _) = world.vfs.open(world.base, "d", true, &options).unwrap();
        world.base = inner;
        world.check(
            "
            stat g => file
            stat e/../g => file
            stat .. => NOTCAPABLE
            stat ../f => NOTCAPABLE
            stat e/../../f => NOTCAPABLE
            stat lf2 => NOTCAPABLE
            open cw ../new => NOTCAPABLE
            rename g ../g => NOTCAPABLE
            linkf lf2 new => NOTCAPABLE
            ",
        );
    }
}

#[test]
fn a_file_is_no_start() {
    for mut world in worlds() {
        let (file, _) = world.vfs.open(world.base, "f", true, &OpenOptions::default()).unwrap();
        world.base = file;
        for call in
            ["stat .", "stat x", "open r .", "open cw x", "mkdir x", "unlink x", "readlink .", "utime ."]
        {
            world.check(&format!("{call} => NOTDIR"));
        }
    }
}

#[test]
fn forty_links_are_followed_and_no_more() {
    for mut world in worlds() {
        world.check("write l0 end");
        for number in 1..=41 {
            world.check(&format!("symlink l{} l{number}", number - 1));
        }
        world.check("cat l40 => end");
        world.check("cat l41 => LOOP");
        world.check("lstat l41 => link");
        // Links on the way count too.
        let path: String = ["ldot/"; 40].concat();
        world.check(&format!("stat {path}f => file"));
        world.check(&format!("stat ldot/{path}f => LOOP"));
    }
}

#[test]
fn a_walk_holds_no_more_directories_than_a_path_has_names() {
    let mut world = World::new(false);
    world.check("mkdir a");
    let mut dir = world.base;
    for _ in 0..2060 {
        world.vfs.create_dir(dir, "x").unwrap();
        let opened = world.vfs.open(dir, "x", false, &OpenOptions::default()).unwrap();
        dir = opened.0;
    }
    let deep: String = ["x/"; 2000].concat();
    world.check(&format!("symlink {} deep", &deep[..3998]));
    world.check("stat deep/*40:x/ => dir");
    world.check("stat deep/*51:x/ => NAMETOOLONG");
}

/// Random calls on random paths, which contain everything that a path can: names, links up and down, dots, slashes.
#[test]
fn both_ways_of_resolving_agree() {
    const NAMES: [&str; 12] = ["a", "b", "c", "a", "b", "m", "..", ".", "", "a", "b", "c"];
    const TARGETS: [&str; 8] = ["a", "b/c", "../a", "..", "./b/", "m/a", "../../b", "/a"];
    const CALLS: [&str; 17] = [
        "stat", "lstat", "open:r", "open:cw", "open:cx", "open:rn", "open:d", "readlink", "mkdir", "mkdir",
        "rmdir", "unlink", "symlink", "link", "linkf", "rename", "lutime",
    ];
    let steps = std::env::var("QYV_VFS_STEPS").ok().and_then(|steps| steps.parse().ok()).unwrap_or(4000);
    let mut dice = Dice::new(1);
    let [mut by_names, mut by_paths] = [false, true].map(World::new);
    for (world, paths) in [(&mut by_names, false), (&mut by_paths, true)] {
        let mount = Watched::over(mem(), &world.watch, paths);
        world.vfs.mount("/m", mount, Access::ReadWrite).unwrap();
    }
    // Mounts beneath keep a table from leaving paths to its file system, so there is a second pair without.
    let [mut alone_by_names, mut alone_by_paths] = [false, true].map(World::new);
    for step in 0..steps {
        let mut path = || {
            let names: Vec<&str> = (0..=dice.below(4)).map(|_| NAMES[dice.below(12) as usize]).collect();
            let path = names.join("/");
            if path.is_empty() { String::from("''") } else { path }
        };
        let (from, to) = (path(), path());
        let call = CALLS[dice.below(17) as usize];
        let line = match call {
            "symlink" => format!("symlink {} {to}", TARGETS[dice.below(8) as usize]),
            "link" | "linkf" | "rename" => format!("{call} {from} {to}"),
            _ => format!("{} {from}", call.replace(':', " ")),
        };
        for (one, other) in [(&mut by_names, &mut by_paths), (&mut alone_by_names, &mut alone_by_paths)] {
            assert_eq!(one.run(&line), other.run(&line), "step {step}: {line}");
            assert_eq!((one.watch.open(), other.watch.open()), (0, 0), "step {step}: {line}");
        }
    }
}

#[test]
fn no_handle_leaks_when_any_call_fails() {
    for paths in [false, true] {
        let watch = Watch::new();
        let mut world = World::with(Access::ReadWrite, Watched::over(mem(), &watch, paths));
        world.check(TREE);
        for line in CALLS.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let (call, _) = line.split_once("=>").unwrap_or((line, ""));
            for calls in 0..12 {
                watch.fail_after(calls);
                let result = world.run(call);
                watch.fail_after(i64::MAX);
                assert_eq!(watch.open(), 0, "`{call}` with a failure after {calls} calls");
                assert!(
                    calls > 0 || !matches!(result, Ok(ref text) if text == "file"),
                    "`{call}` made no call"
                );
                if result != Err(Error::IO) {
                    break;
                }
            }
        }
    }
}
