//! `scripts/install`, and the package for Debian that is made of what it lays out.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use crate::process::{Folder, folder, program};

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// What stands for the program: the real one is large, and copied and packed for long.
fn stand_in(folder: &Folder) -> PathBuf {
    let file = folder.join("stand-in");
    let script = format!("#!/bin/sh\nexec {} \"$@\"\n", program().display());
    fs::write(&file, script).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    file
}

fn run(command: &mut Command) -> Output {
    command.current_dir(ROOT).output().unwrap()
}

fn done(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr].concat();
    let said = String::from_utf8(said).unwrap();
    assert!(output.status.success(), "{said}");
    said
}

fn install() -> Command {
    Command::new(Path::new(ROOT).join("scripts/install"))
}

/// Every file below a folder, by its path from there.
fn files(folder: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut left = vec![folder.to_path_buf()];
    while let Some(next) = left.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            match path.is_dir() {
                true => left.push(path),
                false => {
                    let name = path.strip_prefix(folder).unwrap();
                    found.insert(name.display().to_string());
                }
            }
        }
    }
    found
}

fn mode(file: &Path) -> u32 {
    fs::metadata(file).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_installed_runs_and_is_taken_away_again_but_for_changed_settings() {
    let folder = folder();
    let (prefix, binary) = (folder.join("prefix"), stand_in(&folder));
    let installs = || {
        let mut command = install();
        command
            .arg("--prefix")
            .arg(&prefix)
            .arg("--binary")
            .arg(&binary);
        run(&mut command)
    };
    done(&installs());
    let found = files(&prefix);
    for expected in [
        "bin/tocsin",
        "lib/systemd/system/tocsin.service",
        "lib/systemd/system/tocsin-work@.service",
        "share/man/man1/tocsin.1",
        "share/man/man1/tocsin-incidents.1",
        "share/bash-completion/completions/tocsin",
        "share/zsh/site-functions/_tocsin",
        "share/fish/vendor_completions.d/tocsin.fish",
        "share/doc/tocsin/tocsin.example.toml",
        "etc/tocsin/tocsin.env",
    ] {
        assert!(found.contains(expected), "{expected} of {found:?}");
    }
    // Listed is what is installed, whatever the sorting of the list left on the way.
    let listed = fs::read_to_string(prefix.join("share/tocsin/installed")).unwrap();
    for file in listed.lines() {
        assert!(Path::new(file).exists(), "{file} is listed");
    }
    let said = done(&run(
        Command::new(prefix.join("bin/tocsin")).arg("--version")
    ));
    assert!(said.starts_with("tocsin "), "{said}");
    let unit = fs::read_to_string(prefix.join("lib/systemd/system/tocsin.service")).unwrap();
    let prefix_of_unit = prefix.display();
    for line in [
        format!("ExecStart={prefix_of_unit}/bin/tocsin serve\n"),
        format!("EnvironmentFile=-{prefix_of_unit}/etc/tocsin/tocsin.env\n"),
        "ExecReload=/bin/kill -HUP $MAINPID\n".to_owned(),
    ] {
        assert!(unit.contains(&line), "{line} of {unit}");
    }
    let settings = prefix.join("etc/tocsin/tocsin.env");
    assert_eq!(
        (mode(&settings), mode(&prefix.join("bin/tocsin"))),
        (0o600, 0o755)
    );

    // A newer version: what the older one had and this one has not goes, changed settings and others' files stay.
    let (old, others) = (
        prefix.join("share/man/man1/tocsin-old.1"),
        prefix.join("share/man/man1/others.1"),
    );
    let list = prefix.join("share/tocsin/installed");
    let known = fs::read_to_string(&list).unwrap();
    fs::write(&list, format!("{known}{}\n", old.display())).unwrap();
    for file in [&old, &others, &settings] {
        fs::write(file, "TOCSIN_LISTEN=127.0.0.1:1\n").unwrap();
    }
    done(&installs());
    assert!(!old.exists() && others.exists());
    assert_eq!(fs::read_to_string(&list).unwrap(), known);

    let mut uninstall = install();
    uninstall.arg("--prefix").arg(&prefix).arg("--uninstall");
    let said = done(&run(&mut uninstall));
    assert!(said.contains("tocsin.env was changed and stays"), "{said}");
    let left: Vec<String> = files(&prefix).into_iter().collect();
    assert_eq!(left, ["etc/tocsin/tocsin.env", "share/man/man1/others.1"]);
    let again = run(&mut uninstall);
    assert!(!again.status.success());

    // Unchanged settings are taken away, too.
    fs::remove_file(&settings).unwrap();
    done(&installs());
    done(&run(&mut uninstall));
    assert_eq!(files(&prefix).len(), 1);
    assert!(!prefix.join("etc/tocsin").exists());
}

#[test]
fn what_another_installed_is_not_replaced_and_no_odd_prefix_is_taken() {
    let folder = folder();
    let binary = stand_in(&folder);
    let refused = |prefix: &Path| {
        let mut command = install();
        command.arg("--prefix").arg(prefix);
        let output = run(command.arg("--binary").arg(&binary));
        assert!(!output.status.success(), "{}", prefix.display());
        String::from_utf8(output.stderr).unwrap()
    };
    for odd in ["a b", "a|b", "a&b", "a/../b", "a\nb", ".."] {
        let said = refused(&folder.join(odd));
        assert!(said.contains("--prefix may have"), "{odd}: {said}");
    }
    let prefix = folder.join("prefix");
    let theirs = prefix.join("bin/tocsin");
    fs::create_dir_all(prefix.join("bin")).unwrap();
    fs::write(&theirs, "theirs").unwrap();
    let said = refused(&prefix);
    assert!(said.contains("bin/tocsin is there, and not by"), "{said}");
    assert_eq!(
        files(&prefix).into_iter().collect::<Vec<_>>(),
        ["bin/tocsin"]
    );
    assert_eq!(fs::read_to_string(&theirs).unwrap(), "theirs");
}

/// The metadata that cargo-deb reads.
fn metadata() -> toml::Table {
    let manifest = fs::read_to_string(Path::new(ROOT).join("workers/Cargo.toml")).unwrap();
    let manifest: toml::Table = manifest.parse().unwrap();
    let deb = &manifest["package"]["metadata"]["deb"];
    deb.as_table().unwrap().clone()
}

/// Lays out what the metadata name, of what is staged.
fn lay_out(metadata: &toml::Table, staged: &Path, package: &Path) {
    for asset in metadata["assets"].as_array().unwrap() {
        let part = |n: usize| asset[n].as_str().unwrap();
        let source = part(0).strip_prefix("../target/deb/").unwrap();
        let (place, pattern) = source.rsplit_once('/').unwrap();
        let (before, behind) = pattern.split_once('*').unwrap_or((pattern, ""));
        let to = package.join(part(1));
        fs::create_dir_all(&to).unwrap();
        let mut copied = 0;
        for entry in fs::read_dir(staged.join(place)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name == pattern
                || (pattern.contains('*') && name.starts_with(before) && name.ends_with(behind))
            {
                fs::copy(staged.join(place).join(&name), to.join(&name)).unwrap();
                let mode = u32::from_str_radix(part(2), 8).unwrap();
                fs::set_permissions(to.join(&name), fs::Permissions::from_mode(mode)).unwrap();
                copied += 1;
            }
        }
        assert!(copied > 0, "nothing is {source}");
    }
}

#[test]
fn the_package_for_debian_holds_what_is_installed() {
    let folder = folder();
    let (staged, package) = (folder.join("staged"), folder.join("package"));
    let mut stage = install();
    stage.args(["--prefix", "/usr", "--destdir"]).arg(&staged);
    stage.arg("--binary").arg(stand_in(&folder));
    done(&run(&mut stage));

    let metadata = metadata();
    lay_out(&metadata, &staged, &package);
    let mut laid_out = files(&package);
    laid_out.insert("usr/share/tocsin/installed".to_owned());
    assert_eq!(
        laid_out,
        files(&staged),
        "the assets are all that is installed"
    );
    let settings = metadata["conf-files"].as_array().unwrap();
    let settings: Vec<&str> = settings.iter().map(|file| file.as_str().unwrap()).collect();
    let text = |name: &str| metadata[name].as_str().unwrap().to_owned();
    let described = text("extended-description").trim().replace('\n', "\n ");
    let control = format!(
        "Package: {}\nVersion: 0.0.1\nArchitecture: all\nMaintainer: {}\nSection: {}\nDescription: Tocsin\n {described}\n",
        text("name"),
        text("maintainer"),
        text("section"),
    );
    fs::create_dir(package.join("DEBIAN")).unwrap();
    fs::write(package.join("DEBIAN/control"), control).unwrap();
    fs::write(package.join("DEBIAN/conffiles"), settings.join("\n") + "\n").unwrap();

    let file = folder.join("tocsin.deb");
    let mut build = Command::new("dpkg-deb");
    build.args(["--root-owner-group", "-Znone", "--build"]);
    done(&run(build.arg(&package).arg(&file)));
    let unpacked = folder.join("unpacked");
    done(&run(Command::new("dpkg-deb")
        .arg("--extract")
        .arg(&file)
        .arg(&unpacked)));
    let unit = fs::read_to_string(unpacked.join("usr/lib/systemd/system/tocsin.service")).unwrap();
    assert!(unit.contains("ExecStart=/usr/bin/tocsin serve\n"), "{unit}");
    assert!(
        unit.contains("EnvironmentFile=-/etc/tocsin/tocsin.env\n"),
        "{unit}"
    );
    let said = done(&run(
        Command::new(unpacked.join("usr/bin/tocsin")).arg("--version")
    ));
    assert!(said.starts_with("tocsin "), "{said}");
}
