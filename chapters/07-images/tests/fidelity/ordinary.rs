//! What an ordinary user gets of an image: all that a user namespace can hold.

use std::path::Path;

use harness::{Outcome, Sandbox};

use crate::both::Both;
use crate::one::{NET_RAW, described, described_for_anybody};
use crate::tree::{self, Tree, assert_same};

/// The ids of the harness's user: the first is root's in its namespace, those of its range follow.
const USER: u32 = 4711;
const RANGE: u32 = 300_000;

/// As somebody in the user's namespace sees it.
fn from_within(mut tree: Tree) -> Tree {
    let id = |id: u32| if id == USER { 0 } else { id - RANGE + 1 };
    for file in tree.values_mut() {
        file.owner = (id(file.owner.0), id(file.owner.1));
        // From outside the kernel says for whose root a capability is (capabilities(7), revision 3).
        if let Some(value) = file.xattrs.get_mut("security.capability") {
            assert_eq!((value[3], &value[20..]), (3, &USER.to_le_bytes()[..]));
            value[3] = 2;
            value.truncate(20);
        }
    }
    tree
}

pub fn same() -> Outcome {
    let both = Both::unpulled(Sandbox::ordinary()?, vec![described_for_anybody().shell()?]);
    both.pull().run()?.ok()?.stdout_has("note: device nodes left out: 2")?;
    let ours = from_within(tree::read(&both.layers()?[0])?);
    assert_eq!(ours[Path::new("capable")].xattrs["security.capability"], NET_RAW);
    let mut theirs = both.theirs()?;
    for device in ["null", "loop"] {
        assert!(theirs.remove(Path::new(device)).is_some());
    }
    assert_same(&ours, &theirs);
    Ok(())
}

/// umoci takes no range of ids: to it all files are the user's and their owners an attribute, it gives no capabilities,
/// and makes empty files instead of devices. The rest is the same.
pub fn beside_umoci() -> Outcome {
    let both = Both::unpulled(Sandbox::ordinary()?, vec![described_for_anybody().shell()?]);
    both.pull().run()?.ok()?;
    let (mut ours, mut theirs) = (tree::read(&both.layers()?[0])?, both.theirs_rootless()?);
    for device in ["null", "loop"] {
        assert_eq!(theirs.remove(Path::new(device)).map(|file| file.size), Some(0));
    }
    for file in theirs.values_mut() {
        assert_eq!(file.owner, (USER, USER));
        file.xattrs.remove("user.rootlesscontainers");
    }
    for file in ours.values_mut() {
        file.owner = (USER, USER);
        file.xattrs.remove("security.capability");
    }
    assert_same(&ours, &theirs);
    Ok(())
}

pub fn ids_out_of_range() -> Outcome {
    let both = Both::unpulled(Sandbox::ordinary()?, vec![described()]);
    let done = both.pull().run()?.code(125)?;
    done.stderr_has("to 4000000:3000000000: EINVAL")?.stderr_has("--add-subuids")?;
    Ok(())
}
