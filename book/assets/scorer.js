// How the search ranks what it finds (Sphinx's option html_search_scorer): chapters before pages that only list words.
// A page that is about a word of the query has it as a main entry of the index (book/grid.yml), which scores up to 100.
var Scorer = {
  objNameMatch: 11,
  objPartialMatch: 6,
  objPrio: { 0: 15, 1: 5, 2: -5 },
  objPrioDefault: 0,
  title: 15,
  partialTitle: 7,
  term: 5,
  partialTerm: 2,
  score: function (result) {
    var lists = /^book\/(api|glossary|bibliography|pages\/(provenance|statements))/, atlas = /^book\/pages\/(cifar10|digits)-/;
    return result[4] - (lists.test(result[0]) ? 100 : atlas.test(result[0]) ? 10 : 0);
  }
};
