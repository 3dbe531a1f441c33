//! Who may import whom. The folders are the layers; a line that crosses one the wrong way fails here.

use std::path::{Path, PathBuf};

/// A module may not mention these paths.
const FORBIDDEN: &[(&str, &[&str])] = &[
    // Values depend on nothing.
    (
        "domain",
        &[
            "crate::app",
            "crate::attempt",
            "crate::auth",
            "crate::catalog",
            "crate::config",
            "crate::edge",
            "crate::gateway",
            "crate::ledger",
            "crate::plan",
            "crate::rank",
            "crate::store",
            "crate::stream",
            "crate::transport",
            "crate::wire",
            "tokio",
            "axum",
            "sqlx",
            "rusqlite",
            "hyper",
        ],
    ),
    // Pure stages know no I/O and no clock.
    (
        "plan",
        &[
            "crate::edge",
            "crate::gateway",
            "crate::ledger",
            "crate::store",
            "crate::transport",
            "crate::attempt",
            "crate::clock",
            "tokio",
            "axum",
            "sqlx",
            "rusqlite",
            "hyper",
            ".await",
        ],
    ),
    (
        "rank",
        &[
            "crate::edge",
            "crate::gateway",
            "crate::store",
            "crate::transport",
            "crate::clock",
            "tokio",
            "axum",
            "sqlx",
            "rusqlite",
            "hyper",
            ".await",
        ],
    ),
    // Wires know no plan, owner or price, and do no I/O.
    (
        "wire",
        &[
            "crate::plan",
            "crate::rank",
            "crate::auth",
            "crate::ledger",
            "crate::store",
            "crate::edge",
            "crate::gateway",
            "crate::transport",
            "crate::clock",
            "domain::principal",
            "domain::money",
            "tokio",
            "axum",
            "sqlx",
            "rusqlite",
            "hyper",
            ".await",
        ],
    ),
    (
        "catalog",
        &[
            "crate::edge",
            "crate::gateway",
            "crate::ledger",
            "crate::store",
            "crate::transport",
            "axum",
            "sqlx",
            "rusqlite",
            "hyper",
        ],
    ),
    // Steps beside the model do their own I/O over the dialer, and answer nobody.
    (
        "plugin",
        &[
            "crate::edge",
            "crate::gateway",
            "crate::ledger",
            "crate::store",
            "crate::auth",
            "crate::attempt",
            "crate::stream",
            "axum",
            "sqlx",
            "rusqlite",
            "hyper",
        ],
    ),
    (
        "attempt",
        &[
            "crate::edge",
            "crate::gateway",
            "crate::ledger",
            "crate::store",
            "crate::auth",
            "axum",
            "sqlx",
            "rusqlite",
            "hyper",
        ],
    ),
    (
        "stream",
        &[
            "crate::edge",
            "crate::gateway",
            "crate::ledger",
            "crate::store",
            "crate::auth",
            "axum",
            "sqlx",
            "rusqlite",
            "hyper",
        ],
    ),
    (
        "ledger",
        &[
            "crate::edge",
            "crate::gateway",
            "crate::wire",
            "crate::transport",
            "axum",
            "sqlx",
            "rusqlite",
            "hyper",
        ],
    ),
    (
        "store",
        &[
            "crate::edge",
            "crate::gateway",
            "crate::wire",
            "crate::transport",
            "crate::ledger",
            "axum",
            "hyper",
        ],
    ),
    // The issuer's word is turned into an identity here; what follows from it is none of its business.
    (
        "oidc",
        &[
            "crate::console",
            "crate::edge",
            "crate::gateway",
            "crate::ledger",
            "crate::store",
            "axum",
            "sqlx",
            "rusqlite",
            "hyper",
        ],
    ),
    (
        "auth",
        &[
            "crate::oidc",
            "crate::edge",
            "crate::gateway",
            "crate::ledger",
            "crate::wire",
            "crate::transport",
            "axum",
            "sqlx",
            "rusqlite",
            "hyper",
        ],
    ),
];

/// A crate that only these modules may name.
const RESERVED: &[(&str, &[&str])] = &[
    ("sqlx", &["store"]),
    ("axum", &["edge", "oauth", "console", "app.rs"]),
    ("hyper_util::client", &["transport.rs", "transport"]),
    ("openidconnect", &["oidc"]),
    ("SystemTime", &["clock.rs"]),
];

#[test]
fn modules_stay_in_their_layer() {
    let mut crossings = Vec::new();
    for file in sources(&src()) {
        let (code, name) = (code(&file), name(&file));
        for (module, forbidden) in FORBIDDEN.iter().filter(|(module, _)| is_in(&name, module)) {
            let found = forbidden.iter().filter(|path| mentions(&code, path));
            crossings.extend(found.map(|path| format!("{name} ({module}) mentions {path}")));
        }
        for (krate, homes) in RESERVED.iter().filter(|(krate, _)| mentions(&code, krate)) {
            if !homes.iter().any(|home| is_in(&name, home)) {
                crossings.push(format!(
                    "{name} mentions {krate}, which is for {} alone",
                    homes.join(", ")
                ));
            }
        }
    }
    assert!(crossings.is_empty(), "\n{}", crossings.join("\n"));
}

/// Amounts are integers wherever they are kept, added up or charged.
#[test]
fn no_float_touches_money() {
    let of_money = |name: &str| {
        ["ledger", "store", "domain/money.rs"]
            .iter()
            .any(|place| is_in(name, place))
    };
    let floats = sources(&src()).into_iter().filter(|file| {
        let code = code(file);
        of_money(&name(file)) && ["f32", "f64"].iter().any(|float| code.contains(float))
    });
    let floats: Vec<String> = floats.map(|file| name(&file)).collect();
    assert!(floats.is_empty(), "{floats:?}");
}

/// A folder that the image's build is not given breaks it, and only there.
#[test]
fn the_image_is_built_from_every_folder_that_is_compiled_in() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let read = |file: &str| std::fs::read_to_string(root.join(file)).unwrap();
    let (dockerfile, ignored) = (read("Dockerfile"), read(".dockerignore"));
    let compiled_in = sources(&src()).into_iter().flat_map(|file| {
        let code = code(&file);
        let quoted = ["include_str!(\"", "include_bytes!(\"", "migrate!(\""]
            .into_iter()
            .flat_map(|before| {
                code.split(before)
                    .skip(1)
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            });
        let paths = quoted.filter_map(|rest| {
            let (path, _) = rest.split_once('"')?;
            let path = path.trim_start_matches("../");
            path.split('/').next().map(str::to_owned)
        });
        paths.collect::<Vec<_>>()
    });
    let compiled_in: std::collections::BTreeSet<String> = compiled_in.collect();
    assert!(compiled_in.contains("migrations") && compiled_in.contains("assets"));
    for folder in compiled_in {
        assert!(
            dockerfile.contains(&format!("COPY {folder} {folder}\n")),
            "{folder}"
        );
        assert!(
            ignored.lines().any(|line| line == format!("!{folder}")),
            "{folder}"
        );
    }
}

#[test]
fn the_test_sees_what_it_looks_for() {
    assert!(mentions("use sqlx::Row;", "sqlx") && mentions("crate::store::db", "crate::store"));
    assert!(!mentions("use my_sqlx::Row;", "sqlx") && !mentions("crate::storey", "crate::store"));
    assert!(sources(&src()).len() > 20);
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    let (folders, files): (Vec<_>, Vec<_>) = entries.partition(|path| path.is_dir());
    let rust = files
        .into_iter()
        .filter(|path| path.extension().is_some_and(|extension| extension == "rs"));
    rust.chain(folders.iter().flat_map(|folder| sources(folder)))
        .collect()
}

/// The path below `src`, with `/` between its parts.
fn name(file: &Path) -> String {
    file.strip_prefix(src())
        .unwrap()
        .components()
        .map(|part| part.as_os_str().to_string_lossy())
        .collect::<Vec<_>>()
        .join("/")
}

fn is_in(name: &str, module: &str) -> bool {
    name == module || name == format!("{module}.rs") || name.starts_with(&format!("{module}/"))
}

/// The file without its unit tests, which may stand on anything, and without comments.
fn code(file: &Path) -> String {
    let text = std::fs::read_to_string(file).unwrap();
    let is_test_file = file.file_name().is_some_and(|name| name == "tests.rs");
    let product = if is_test_file {
        ""
    } else {
        text.split("#[cfg(test)]\nmod tests {")
            .next()
            .unwrap_or_default()
    };
    product
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"))
        .collect::<Vec<_>>()
        .join("\n")
}

/// Whether `code` has `path` as a path, not as a part of a longer name.
fn mentions(code: &str, path: &str) -> bool {
    let word =
        |byte: Option<&u8>| byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || *byte == b'_');
    code.match_indices(path).any(|(at, _)| {
        !word(code.as_bytes().get(at.wrapping_sub(1)))
            && !word(code.as_bytes().get(at + path.len()))
    })
}
