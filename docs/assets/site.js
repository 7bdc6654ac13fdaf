// A table or a listing that is wider than the screen can be reached, and so scrolled, by keyboard; the search has a name for who listens.
document.querySelectorAll(".md-typeset__scrollwrap, pre > code").forEach((part) => part.setAttribute("tabindex", "0"));
document.querySelector(".md-search")?.setAttribute("aria-label", "Search");
