"use strict";
// Names of classes and columns may be anybody's: they go into the page as text, and never as markup.

const FEW = 10; // bars that are shown at first
const LISTED = 60; // words that fit a menu; of more, the browser suggests some while one types
const SUGGESTED = 2000;
const PASSING = new Set([408, 413, 503]);
const FIELDS = 500; // columns that a person may fill in
const byId = (id) => document.getElementById(id);
let schema = null;
let asked = 0; // questions so far: a late answer to an earlier one is not shown

function element(kind, properties = {}, ...children) {
  const made = Object.assign(document.createElement(kind), properties);
  made.append(...children);
  return made;
}

function showError(error, hint) {
  byId("error").textContent = hint ? `${error}\n${hint}` : error;
  byId("error").hidden = false;
}

async function answerOf(response) {
  try {
    return await response.json();
  } catch {
    throw new Error(`the service answered with status ${response.status}, and nothing that can be read`);
  }
}

async function predict(type, body) {
  const number = ++asked;
  byId("error").hidden = true;
  byId("output").setAttribute("aria-busy", "true");
  try {
    const response = await fetch("/predict", { method: "POST", headers: { "Content-Type": type }, body });
    const found = await answerOf(response);
    if (number !== asked) return;
    if (response.ok) {
      showAnswer(found.answers[0]);
      byId("output").scrollIntoView({ block: "nearest" });
    } else {
      byId("answer").replaceChildren();
      showError(found.error, PASSING.has(response.status) ? found.hint : ""); // other hints are for programs
      if (found.problems) mark(found.problems);
    }
  } catch (error) {
    if (number !== asked) return;
    byId("answer").replaceChildren();
    showError(error instanceof TypeError ? "the service cannot be reached" : error.message, "is it still running?");
  } finally {
    if (number === asked) byId("output").removeAttribute("aria-busy");
  }
}

// The answer

const percent = (share) => `${(100 * share).toFixed(share > 0.9995 || share < 0.0005 ? 2 : 1)}%`;
const plain = (value) => (Math.abs(value) >= 1e9 || (value !== 0 && Math.abs(value) < 1e-4)
  ? value.toExponential(4) : value.toLocaleString("en", { maximumSignificantDigits: 6 }));

function showAnswer(answer) {
  const shown = [];
  if (answer.classes) {
    shown.push(element("p", { className: "predicted", textContent: answer.predicted }));
    shown.push(element("p", { className: "quiet", textContent: `with a probability of ${percent(answer.probability)}` }));
    shown.push(bars(answer.classes.slice(0, FEW), answer.predicted));
    const others = answer.classes.slice(FEW);
    if (others.length) {
      const more = element("details", {}, element("summary", { textContent: `${others.length.toLocaleString("en")} more` }));
      more.addEventListener("toggle", () => more.append(bars(others, answer.predicted)), { once: true });
      shown.push(more);
    }
  } else {
    for (const value of answer.values || [answer.value]) {
      shown.push(element("p", { className: "predicted", textContent: plain(value) }));
    }
    if (schema.target) shown.push(element("p", { className: "quiet", textContent: `predicted ${schema.target}` }));
  }
  byId("answer").replaceChildren(...shown);
}

function bars(classes, predicted) {
  const list = element("ol", { className: "bars" });
  for (const { class: name, probability } of classes) {
    const fill = element("div", { className: "fill" });
    fill.style.width = `${100 * probability}%`;
    const line = element("div", { className: "line" },
      element("span", { className: "name", textContent: name }),
      element("span", { className: "share", textContent: percent(probability) }));
    const track = element("div", { className: "track", ariaHidden: "true" }, fill);
    list.append(element("li", { className: name === predicted ? "chosen" : "" }, line, track));
  }
  return list;
}

// An image

function imageForm(form) {
  const input = element("input", { type: "file", id: "file", accept: "image/*,.ppm,.pgm,.pbm,.tif,.tiff" });
  const picture = element("img", { alt: "", hidden: true });
  const says = element("span", {});
  says.append(element("strong", { textContent: "Choose an image" }), ", drop it here, or paste it");
  const label = element("label", { className: "drop" }, picture, says, input);
  const take = (file) => {
    if (!file) return;
    URL.revokeObjectURL(picture.src);
    picture.src = URL.createObjectURL(file);
    says.replaceChildren(file.name || "pasted image", element("br"), element("strong", { textContent: "Choose another" }));
    if (file.size > schema.input.most_bytes) { // sent anyway, it would only take longer to be refused
      byId("answer").replaceChildren();
      showError("this file is too large", `at most ${schema.input.most_bytes.toLocaleString("en")} bytes are taken`);
      return;
    }
    predict("application/octet-stream", file);
  };
  picture.addEventListener("load", () => {
    picture.hidden = false;
    picture.classList.toggle("small", picture.naturalWidth < 128);
  });
  picture.addEventListener("error", () => { picture.hidden = true; }); // a kind that the browser does not know
  input.addEventListener("change", () => { take(input.files[0]); input.value = ""; });
  for (const name of ["dragover", "dragleave", "drop"]) {
    document.addEventListener(name, (event) => {
      event.preventDefault();
      label.classList.toggle("over", name === "dragover");
      if (name === "drop") take(event.dataTransfer.files[0]);
    });
  }
  document.addEventListener("paste", (event) => take(event.clipboardData.files[0]));
  form.append(label);
}

// A row

function options(words, chosen) {
  return words.map(([value, text]) => element("option", { value, textContent: text, defaultSelected: value === chosen }));
}

function control(column, id, usual) {
  if (column.kind === "boolean" || (column.kind === "category" && column.words.length <= LISTED && !column.takes_other_words)) {
    const words = column.words.map((word) => [word, word]);
    const chosen = typeof usual === "boolean" ? column.words[Number(usual)] : usual;
    return [element("select", { id }, ...options(column.may_be_missing ? [["", "(missing)"], ...words] : words, chosen))];
  }
  const made = element("input", { id, defaultValue: usual, autocomplete: "off", spellcheck: false });
  if (column.kind === "number") made.inputMode = "decimal";
  if (column.kind !== "category") return [made];
  const list = element("datalist", { id: `${id}-words` }, ...options(column.words.slice(0, SUGGESTED).map((word) => [word, word])));
  made.setAttribute("list", list.id);
  return [made, list];
}

function rowForm(form) {
  if (schema.input.columns.length > FIELDS) {
    form.append(element("p", { textContent: "These are too many columns for a form: send rows to POST /predict." }));
    return;
  }
  const usual = schema.example.body.rows[0];
  const fields = element("div", { className: "fields" });
  schema.input.columns.forEach((column, number) => {
    const id = `column-${number}`;
    const label = element("label", { htmlFor: id }, column.name);
    if (column.may_be_missing) label.append(element("span", { className: "note", textContent: " (may be empty)" }));
    const wrong = element("p", { className: "wrong", id: `${id}-wrong`, hidden: true });
    fields.append(element("div", { className: "field" }, label, ...control(column, id, usual[column.name]), wrong));
  });
  const send = element("button", { type: "submit", textContent: "Predict" });
  const again = element("button", { type: "reset", textContent: "Reset" });
  form.append(element("h2", { textContent: "One row" }), fields, element("div", { className: "buttons" }, send, again));
  form.addEventListener("reset", () => mark([]));
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    mark([]);
    const row = schema.input.columns.map((column, number) => [column.name, valueOf(column, byId(`column-${number}`).value)]);
    predict("application/json", JSON.stringify({ rows: [Object.fromEntries(row)] }));
  });
}

function valueOf(column, text) {
  const written = text.trim();
  if (written === "") return null;
  return column.kind === "number" && Number.isFinite(Number(written)) ? Number(written) : text;
}

function mark(problems) {
  const reasons = new Map(problems.map((problem) => [problem.column, problem.reason]));
  let first = null;
  schema.input.columns.forEach((column, number) => {
    const [shown, wrong] = [byId(`column-${number}`), byId(`column-${number}-wrong`)];
    const reason = reasons.get(column.name);
    wrong.hidden = reason === undefined;
    wrong.textContent = reason || "";
    if (reason === undefined) {
      shown.removeAttribute("aria-invalid");
      shown.removeAttribute("aria-describedby");
    } else {
      shown.setAttribute("aria-invalid", "true");
      shown.setAttribute("aria-describedby", wrong.id);
      first = first || shown;
    }
  });
  if (first) first.focus();
}

async function start() {
  try {
    const response = await fetch("/schema");
    schema = await answerOf(response);
    if (!response.ok) throw new Error(schema.error);
  } catch (error) {
    byId("about").textContent = "";
    showError(`the model's description cannot be read: ${error.message}`, "reload the page");
    return;
  }
  const { input, classes, model, target } = schema;
  document.title = byId("model").textContent = model;
  const many = classes && `one of ${classes.length.toLocaleString("en")} classes`;
  const gives = [target || (many ? "" : "a number"), many].filter(Boolean).join(": ");
  const colours = input.channels === 1 ? "grey" : "coloured";
  byId("about").textContent = input.kind === "image"
    ? `Takes an image, which it sees as ${input.width} × ${input.height} ${colours} pixels, and predicts ${gives}.`
    : `Takes a row of ${input.columns.length.toLocaleString("en")} columns, and predicts ${gives}.`;
  (input.kind === "image" ? imageForm : rowForm)(byId("form"));
}

start();
