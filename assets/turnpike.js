// What makes pages quicker to use. Every page works without it, and nothing it shows is ever read as HTML.
"use strict";

const all = (selector, root = document) => [...root.querySelectorAll(selector)];

// Buttons that copy the text of another element. They are hidden until there is script.
for (const button of all("[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", async () => {
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(document.querySelector(button.dataset.copy).textContent);
      button.textContent = "Copied";
    } catch {
      button.textContent = "Select and copy it by hand";
    }
    setTimeout(() => { button.textContent = label; }, 2000);
  });
}

// Menus close when something else is pressed, or with Escape.
const closeMenus = (except) => all("details.menu[open]").forEach((menu) => { if (menu !== except) menu.open = false; });
document.addEventListener("click", (event) => closeMenus(event.target.closest("details.menu")));
document.addEventListener("keydown", (event) => {
  if (event.key !== "Escape") return;
  const open = document.querySelector("details.menu[open]");
  closeMenus(null);
  open?.querySelector("summary").focus();
});

// Forms that filter a list do so while one types: the server writes the list, and it is put in place of the old one.
for (const form of all("form[data-live]")) {
  const target = form.dataset.live;
  let asked = 0;
  let timer = 0;
  const refresh = async () => {
    const query = new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== "")).toString();
    const address = query ? `${form.action.split("?")[0]}?${query}` : form.action.split("?")[0];
    const turn = ++asked;
    const answer = await fetch(address, { headers: { accept: "text/html" } });
    if (!answer.ok) return form.submit();
    const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector(target);
    if (turn !== asked || !fresh) return;
    document.querySelector(target).replaceWith(document.adoptNode(fresh));
    history.replaceState(null, "", address);
  };
  const soon = (wait) => { clearTimeout(timer); timer = setTimeout(() => refresh().catch(() => form.submit()), wait); };
  form.addEventListener("input", (event) => soon(event.target.type === "search" || event.target.type === "text" ? 180 : 0));
  form.addEventListener("submit", (event) => { event.preventDefault(); soon(0); });
}

// Selects that choose a page go there at once.
for (const form of all("form[data-at-once]")) {
  form.addEventListener("change", () => form.requestSubmit());
}

// The playground: answers stream into cards, one for each model. What a model says is set as text, never as HTML.
const playground = document.querySelector("#playground");
if (playground) {
  const answers = document.querySelector("#answers");
  const template = document.querySelector("#answer");
  const stop = document.querySelector("#stop");
  const send = playground.querySelector("[type=submit]");
  let running = null;

  const dollars = (cost) => {
    if (cost === 0) return "$0.00";
    const places = cost >= 1 ? 2 : cost >= 0.01 ? 4 : cost >= 0.00001 ? 6 : 9;
    return `$${cost.toFixed(places).replace(/(\.\d\d+?)0+$/, "$1")}`;
  };
  const duration = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

  const requests = () => {
    const form = new FormData(playground);
    const messages = [{ role: "user", content: form.get("prompt") }];
    if (form.get("system").trim()) messages.unshift({ role: "system", content: form.get("system") });
    const options = { messages, stream: true };
    for (const name of ["max_tokens", "temperature"]) {
      const text = form.get(name).trim();
      if (text) options[name] = Number.isNaN(Number(text)) ? text : Number(text);
    }
    return [["model", "variant"], ["other", "other_variant"]]
      .map(([model, variant]) => [form.get(model).trim(), form.get(variant)])
      .filter(([model]) => model)
      .map(([model, variant]) => ({ ...options, model: variant ? `${model}:${variant}` : model }));
  };

  // Server-sent events, one parsed object at a time; comments and the end mark are passed over.
  async function* events(body) {
    const reader = body.pipeThrough(new TextDecoderStream()).getReader();
    let rest = "";
    for (;;) {
      const { value, done } = await reader.read();
      if (done) return;
      const lines = (rest + value).split("\n");
      rest = lines.pop();
      for (const line of lines) {
        if (line.startsWith("data: ") && line !== "data: [DONE]") yield JSON.parse(line.slice(6));
      }
    }
  }

  // A page that the answer is from, once; a link leads to the web alone.
  const cite = (list, page) => {
    if (!/^https?:\/\//.test(page?.url ?? "") || all("a", list).some((link) => link.getAttribute("href") === page.url)) return;
    const link = Object.assign(document.createElement("a"), { href: page.url, rel: "noopener noreferrer nofollow", textContent: page.title || page.url });
    const item = document.createElement("li");
    item.append(link);
    list.append(item);
  };

  const run = async (request, signal) => {
    const card = template.content.firstElementChild.cloneNode(true);
    const part = (name) => card.querySelector(`[data-part=${name}]`);
    const fail = (words) => { part("failure").textContent = words; part("failure").hidden = false; };
    part("model").textContent = request.model;
    answers.append(card);
    const begun = performance.now();
    const since = () => duration(performance.now() - begun);
    try {
      const answer = await fetch(playground.action + "/chat", {
        method: "POST",
        headers: { "content-type": "application/json", "x-form-token": playground.elements.form_token.value, "x-openrouter-metadata": "enabled" },
        body: JSON.stringify(request),
        signal,
      });
      const kind = answer.headers.get("content-type") ?? "";
      if (kind.startsWith("application/json")) return fail((await answer.json()).error.message);
      if (!kind.startsWith("text/event-stream")) return fail("You are signed out. Reload the page and sign in.");
      for await (const event of events(answer.body)) {
        if (event.id) part("run").href = `/activity/${encodeURIComponent(event.id)}`;
        if (event.provider) part("provider").textContent = event.provider;
        if (event.openrouter_metadata) part("why").textContent = event.openrouter_metadata.summary;
        const delta = event.choices?.[0]?.delta ?? {};
        if ((delta.content || delta.reasoning) && !part("first").textContent) part("first").textContent = since();
        if (delta.reasoning) part("reasoning").append(delta.reasoning);
        if (delta.content) part("text").append(delta.content);
        for (const { url_citation: page } of delta.annotations ?? []) cite(part("sources"), page);
        if (event.usage) {
          part("tokens").textContent = `${event.usage.prompt_tokens} → ${event.usage.completion_tokens}`;
          if (typeof event.usage.cost === "number") part("cost").textContent = dollars(event.usage.cost);
        }
        if (event.error) fail(event.error.message);
      }
    } catch (error) {
      fail(signal.aborted ? "Stopped." : "The connection broke. Try again.");
    } finally {
      part("whole").textContent = since();
    }
  };

  playground.addEventListener("submit", async (event) => {
    event.preventDefault();
    if (running) return;
    running = new AbortController();
    answers.replaceChildren();
    answers.setAttribute("aria-busy", "true");
    stop.hidden = false;
    send.disabled = true;
    await Promise.all(requests().map((request) => run(request, running.signal)));
    running = null;
    answers.setAttribute("aria-busy", "false");
    stop.hidden = true;
    send.disabled = false;
  });
  stop.addEventListener("click", () => running?.abort());
  playground.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) playground.requestSubmit();
  });
}
