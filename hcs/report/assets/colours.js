// Colour maps that every common colour blindness reads as one ramp from dark to bright, and colours of classes.
const MAPS = {
  viridis: ["440154", "482878", "3e4a89", "31688e", "26828e", "1f9e89", "35b779", "6ece58", "b5de2b", "fde725"],
  cividis: ["00224e", "123570", "3b496c", "575d6d", "707173", "8a8678", "a59c74", "c3b369", "e1cc55", "fee838"],
};
function mapColour(name, share) {
  const map = MAPS[name];
  const place = Math.min(Math.max(share, 0), 1) * (map.length - 1);
  const i = Math.min(Math.floor(place), map.length - 2);
  const part = (k, at) => parseInt(map[k].slice(at, at + 2), 16);
  const mixed = [0, 2, 4].map((at) => Math.round(part(i, at) + (place - i) * (part(i + 1, at) - part(i, at))));
  return `rgb(${mixed.join(",")})`;
}
const isDark = (name, share) => (name === "viridis" ? share < 0.62 : share < 0.58);

const PHASE_WORDS = { SubG1: "sub-G1", G1: "G1", S: "S", G2M: "G2/M", Above4N: "above 4N" };
const PHASE_CLASS = { SubG1: "p-sub", G1: "p-g1", S: "p-s", G2M: "p-g2m", Above4N: "p-above" };
// On the black of a picture: Okabe and Ito's palette, told apart with every common colour blindness.
const ON_BLACK = ["#56B4E9", "#E69F00", "#CC79A7", "#F0E442", "#009E73", "#D55E00", "#FFFFFF", "#999999", "#0072B2"];
const PHASE_ON_BLACK = { G1: "#56B4E9", S: "#E69F00", G2M: "#CC79A7", SubG1: "#BBBBBB", Above4N: "#F0E442", "": "#777777" };
function categoryColour(colouring, code) {
  const name = colouring.categories[code];
  if (name === undefined) return "#777777";
  if (colouring.title === "Flag") return ["#56B4E9", "#E69F00", "#CC79A7"][code];
  return name in PHASE_ON_BLACK ? PHASE_ON_BLACK[name] : ON_BLACK[code % ON_BLACK.length];
}
