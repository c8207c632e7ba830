// Draw every part, show one well, and let the chips of the summary choose theirs.
const sections = [
  ["plate-body", plateSection], ["well-panel", panelSection], ["assay-body", assaySection], ["attribution-body", attributionSection], ["doses-body", dosesSection],
  ["cycle-body", cycleSection], ["cells-body", cellsSection], ["quality-body", qualitySection], ["ledger-body", ledgerSection], ["time-body", timeSection],
];
for (const [id, draw] of sections) if (byId(id)) draw(byId(id));
document.querySelectorAll("button[data-well]").forEach((button) => {
  const well = button.dataset.well;
  button.addEventListener("click", () => chooseWell(well, true));
});
const firstSight = Object.keys(DATA.distrusted).find((w) => w in PICTURES.wells) || Object.keys(PICTURES.wells)[0];
if (firstSight) chooseWell(firstSight);
document.documentElement.dataset.ready = String(Math.round(performance.now()));
