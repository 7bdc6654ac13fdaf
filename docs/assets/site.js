// A table or a listing that is wider than the screen can be reached, and so scrolled, by keyboard; the search has a name for who listens.
// The theme wraps tables after the page is there, so later ones are marked when they come.
const mark = () => {
  document.querySelectorAll(".md-typeset__scrollwrap:not([tabindex]), pre > code:not([tabindex])").forEach((part) => part.setAttribute("tabindex", "0"));
  document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
};
mark();
new MutationObserver(mark).observe(document.body, { childList: true, subtree: true });
