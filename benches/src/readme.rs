//! Writes tables into `README.md`, each between the two comments that name it. Other tables stay as they are.

use std::fs;

use crate::session::Result;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");

/// Each section is a name and its content.
pub(crate) fn write(sections: &[(&str, String)]) -> Result<()> {
    let mut text = fs::read_to_string(PATH)?;
    for (name, content) in sections {
        text = replaced(&text, name, content).ok_or_else(|| format!("{PATH} has no place for {name}"))?;
    }
    Ok(fs::write(PATH, text)?)
}

fn replaced(text: &str, name: &str, content: &str) -> Option<String> {
    let (open, close) = (format!("<!-- {name} -->\n"), format!("<!-- /{name} -->"));
    let (before, rest) = text.split_once(&open)?;
    let (_, after) = rest.split_once(&close)?;
    Some(format!("{before}{open}{content}{close}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::works::WORKS;

    #[test]
    fn a_section_is_replaced_and_nothing_else() {
        let text = "a\n<!-- x -->\nold\n<!-- /x -->\n<!-- y -->\n<!-- /y -->\n";
        let expected = "a\n<!-- x -->\nnew\n<!-- /x -->\n<!-- y -->\n<!-- /y -->\n";
        assert_eq!(replaced(text, "x", "new\n").as_deref(), Some(expected));
        assert_eq!(replaced(text, "z", ""), None);
    }

    #[test]
    fn there_is_a_place_for_every_work() {
        let text = fs::read_to_string(PATH).unwrap();
        for name in WORKS.iter().map(|(name, _)| *name).chain(["machine"]) {
            assert!(replaced(&text, name, "").is_some(), "{name}");
        }
    }
}
