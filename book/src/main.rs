//! The book: its pages are in `pages/`. The cell runner and the local server come with the pages; until
//! then this program says where things will be.

fn main() -> std::process::ExitCode {
    eprintln!("error: the book is not written yet; its table of contents is book/pages/SUMMARY.md");
    eprintln!("  help: each chapter's crate explains itself: cargo doc --open -p step01");
    std::process::ExitCode::FAILURE
}
