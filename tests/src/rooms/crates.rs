//! Which crate may use which, as `CONTRIBUTING.md` tells it, and what the `Cargo.toml` files say.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use toml::Table;

/// With these words the rule begins; it goes to the end of its item of the list.
const RULE: &str = "- Arrows point one way:";

/// For each folder that the rule names, those it may use. Folders that no arrow names may use all, and nobody them.
#[derive(Debug, PartialEq, Eq)]
pub struct Order(BTreeMap<String, BTreeSet<String>>);

impl Order {
    /// Reads the arrows, `` `a -> b -> c` ``, of the rule in `text`; `None` if there is none.
    pub fn of(text: &str) -> Option<Self> {
        let rule = &text[text.find(RULE)? + RULE.len()..];
        let rule = &rule[..rule.find("\n- ").unwrap_or(rule.len())];
        let chains = rule.split('`').skip(1).step_by(2).filter(|chain| chain.contains("->"));
        let mut order = BTreeMap::<String, BTreeSet<String>>::new();
        for chain in chains {
            let names: Vec<String> = chain.split("->").map(|name| name.trim().to_owned()).collect();
            for (at, name) in names.iter().enumerate() {
                order.entry(name.clone()).or_default().extend(names[at + 1..].iter().cloned());
            }
        }
        // What stands at the end of one arrow may stand at the begin of another.
        for _ in 0..order.len() {
            for name in order.keys().cloned().collect::<Vec<_>>() {
                let further: Vec<String> = order[&name].iter().flat_map(|below| order[below].clone()).collect();
                order.entry(name).or_default().extend(further);
            }
        }
        (!order.is_empty()).then_some(Self(order))
    }

    /// Whether what is in the folder `from` may use what is in `to`; a folder may use itself.
    pub fn allows(&self, from: &str, to: &str) -> bool {
        from == to || (self.0.contains_key(to) && self.0.get(from).is_none_or(|below| below.contains(to)))
    }
}

fn manifest(folder: &Path) -> Result<Table, String> {
    let path = folder.join("Cargo.toml");
    let text = std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))?;
    text.parse().map_err(|e| format!("{}: {e}", path.display()))
}

/// The folders of all crates of the workspace in `root`.
///
/// # Errors
/// In words, a `Cargo.toml` that cannot be read.
pub fn members(root: &Path) -> Result<Vec<String>, String> {
    let workspace = manifest(root)?;
    let members = workspace.get("workspace").and_then(|workspace| workspace.get("members")?.as_array());
    let members = members.ok_or("no members of the workspace")?;
    Ok(members.iter().filter_map(toml::Value::as_str).map(str::to_owned).collect())
}

/// All dependencies of the workspace in `root` on its own crates that `order` does not allow, each in a line.
///
/// # Errors
/// In words, a `Cargo.toml` that cannot be read.
pub fn faults(root: &Path, order: &Order) -> Result<Vec<String>, String> {
    let workspace = manifest(root)?;
    let workspace = workspace["workspace"].as_table().ok_or("no workspace")?;
    let path = |dependency: &toml::Value| dependency.get("path")?.as_str().map(str::to_owned);
    let own: BTreeMap<&String, String> = workspace["dependencies"]
        .as_table()
        .into_iter()
        .flatten()
        .filter_map(|(name, dependency)| Some((name, path(dependency)?)))
        .collect();
    let mut faults = Vec::new();
    for member in members(root)? {
        for (name, dependency) in dependencies(&manifest(&root.join(&member))?) {
            // A path of its own is not read: the workspace names all.
            if path(&dependency).is_some() {
                faults.push(format!("{member}/Cargo.toml: `{name}` has a path; write `{name}.workspace = true`"));
            }
            let Some(to) = own.get(&name) else { continue };
            let top = |folder: &str| folder.split('/').next().unwrap_or_default().to_owned();
            if !order.allows(&top(&member), &top(to)) {
                faults.push(format!("{member}/Cargo.toml: `{name}` ({to}) is nothing that {member} may use"));
            }
        }
    }
    Ok(faults)
}

/// What a package depends on, of every kind and for every target.
fn dependencies(package: &Table) -> Vec<(String, toml::Value)> {
    let kinds = ["dependencies", "dev-dependencies", "build-dependencies"];
    let of = |table: &Table| {
        kinds.iter().filter_map(|kind| table.get(*kind)?.as_table().cloned()).flatten().collect::<Vec<_>>()
    };
    let targets = package.get("target").and_then(toml::Value::as_table).into_iter().flatten();
    let mut all = of(package);
    all.extend(targets.filter_map(|(_, target)| target.as_table()).flat_map(of));
    all
}

#[cfg(test)]
mod tests {
    use super::{Order, faults};

    #[test]
    fn arrows_follow_each_other() {
        let text = "- Arrows point one way: `a -> b -> c`, `d -> c`,\n  `c -> e`; `f` uses all.\n- Another: `a -> z`.";
        let order = Order::of(text).expect("a rule");
        let allowed = |from: &str| {
            ["a", "b", "c", "d", "e", "f", "z"].into_iter().filter(|to| order.allows(from, to)).collect::<String>()
        };
        assert_eq!(["a", "b", "c", "d", "e", "f"].map(allowed), ["abce", "bce", "ce", "cde", "e", "abcdef"]);
        assert_eq!(Order::of("- Arrows point: `a -> b`"), None);
    }

    #[test]
    fn a_dependency_that_goes_up_is_named_whatever_its_kind() {
        let folder = tempfile::tempdir().expect("a folder");
        let write = |path: &str, text: &str| {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
            std::fs::write(path, text).expect("a file");
        };
        write(
            "Cargo.toml",
            "[workspace]\nmembers = ['high', 'low', 'low/own', 'free']\n[workspace.dependencies]\nhigh = { path = 'high' }\n\
             low = { path = 'low' }\nown = { path = 'low/own' }\nserde = '1'",
        );
        write("high/Cargo.toml", "[dependencies]\nserde.workspace = true\nown.workspace = true");
        write("low/own/Cargo.toml", "[dependencies]\nlow.workspace = true");
        write("free/Cargo.toml", "[dependencies]\nhigh.workspace = true\nlow.workspace = true");
        let order = Order::of("- Arrows point one way: `high -> low`.").expect("a rule");
        let low = |text: &str| {
            write("low/Cargo.toml", text);
            faults(folder.path(), &order).expect("manifests")
        };
        assert_eq!(low(""), [""; 0]);
        let said = "low/Cargo.toml: `high` (high) is nothing that low may use";
        for table in ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"] {
            assert_eq!(low(&format!("[{table}]\nhigh.workspace = true")), [said], "{table}");
        }
        assert_eq!(low("[dependencies]\nhigh = { path = '../high' }").len(), 2);
    }
}
