// Opens pages in Chromium, as people with a phone, a tablet and a screen have them, and fails where one is not as it should
// be: `node page.mjs [--pictures DIR] PAGE.html…`.
import assert from "node:assert/strict";
import { readFileSync, readdirSync, writeFileSync, existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { createRequire } from "node:module";
import { Builder, By, Key, logging } from "selenium-webdriver";
import chrome from "selenium-webdriver/chrome.js";

const AXE = readFileSync(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");
const WIDTHS = [360, 768, 1280];
const SCHEMES = ["light", "dark"];

const given = process.argv.slice(2);
const pictures = given[0] === "--pictures" ? given.splice(0, 2)[1] : null;

function driver() {
  const options = new chrome.Options().setChromeBinaryPath(process.env.CHROMIUM ?? "/usr/bin/chromium");
  // Root in a container has no sandbox to enter.
  options.addArguments("--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--force-device-scale-factor=1");
  const logs = new logging.Preferences();
  logs.setLevel(logging.Type.BROWSER, logging.Level.ALL);
  options.setLoggingPrefs(logs);
  const service = new chrome.ServiceBuilder(process.env.CHROMEDRIVER ?? "/usr/bin/chromedriver");
  return new Builder().forBrowser("chrome").setChromeOptions(options).setChromeService(service).build();
}

async function show(browser, page, width, scheme, media = "") {
  const size = { width, height: 900, deviceScaleFactor: 1, mobile: width < 500 };
  await browser.sendDevToolsCommand("Emulation.setDeviceMetricsOverride", size);
  const features = [{ name: "prefers-color-scheme", value: scheme }];
  await browser.sendDevToolsCommand("Emulation.setEmulatedMedia", { media, features });
  await browser.get(pathToFileURL(resolve(page)).href);
  await settle(browser);
}

// Until what the page does before its next frame is done.
const settle = (browser) => browser.executeAsyncScript((done) => requestAnimationFrame(() => requestAnimationFrame(() => done())));

// What the page may not do at any width: fail, load something, scroll sideways, cut a text off.
async function isWhole(browser, what) {
  const said = await browser.manage().logs().get(logging.Type.BROWSER);
  assert.deepEqual(said.map((entry) => entry.message), [], `${what}: console`);
  const found = await browser.executeScript(() => {
    const texts = [...document.querySelectorAll("body *")].filter((e) => e.checkVisibility() && e.textContent.trim());
    const isCut = (e) => {
      const style = getComputedStyle(e);
      return ["hidden", "clip"].includes(style.overflowX) && e.scrollWidth > e.clientWidth + 1;
    };
    // A text of a drawing must lie inside the drawing; the drawing may be scrolled.
    const isOutside = (text) => {
      const [inner, outer] = [text.getBoundingClientRect(), text.ownerSVGElement.getBoundingClientRect()];
      return inner.left < outer.left - 1 || inner.right > outer.right + 1 || inner.top < outer.top - 1 || inner.bottom > outer.bottom + 1;
    };
    // What is wider than its column must be in a part that scrolls, and that the keyboard reaches.
    const scrolls = (e) => ["auto", "scroll"].includes(getComputedStyle(e).overflowX) && e.tabIndex >= 0;
    const isLost = (e) => {
      if (e.getBoundingClientRect().right <= innerWidth + 1 || e.closest(".skip")) return false;
      for (let at = e; at; at = at.parentElement) if (scrolls(at)) return false;
      return true;
    };
    const name = (e) => `${e.tagName}.${e.className?.baseVal ?? e.className} ${e.textContent.trim().slice(0, 60)}`;
    return {
      loaded: performance.getEntriesByType("resource").map((entry) => entry.name).filter((url) => !url.startsWith("data:")),
      twice: [...document.querySelectorAll("[id]")].map((e) => e.id).filter((id, at, all) => all.indexOf(id) !== at),
      sideways: document.documentElement.scrollWidth - innerWidth,
      cut: texts.filter(isCut).map(name),
      outside: [...document.querySelectorAll("svg text")].filter((e) => e.checkVisibility() && isOutside(e)).map(name),
      lost: texts.filter((e) => !e.closest("svg") && isLost(e)).map(name),
    };
  });
  assert.deepEqual(found, { loaded: [], twice: [], sideways: Math.min(found.sideways, 0), cut: [], outside: [], lost: [] }, what);
}

// Everything unfolded, so that nothing is left out.
async function unfold(browser) {
  await browser.executeScript(() => document.querySelectorAll("details").forEach((e) => { e.open = true; }));
  await settle(browser);
}

async function isAccessible(browser, what) {
  await browser.executeScript(AXE);
  const found = await browser.executeAsyncScript((done) => axe.run(document, { resultTypes: ["violations"] }).then(done));
  const said = found.violations.map((v) => `${v.id}: ${v.help}: ${v.nodes.slice(0, 3).map((n) => `${n.target} ${n.failureSummary}`).join(" | ")}`);
  assert.deepEqual(said, [], `${what}: axe`);
}

// The texts of a column, as they stand.
const column = (table, at) => table.getDriver().executeScript((table, at) => [...table.tBodies[0].rows].map((row) => row.cells[at].textContent.trim()), table, at);

// A number without a unit, or nothing.
function number(text) {
  const found = text.replaceAll(",", "").replaceAll("−", "-").match(/^([+-]?\d+(\.\d+)?)(%|$| [\[±])/);
  return found ? Number(found[1]) : null;
}

// A column of numbers goes down at the first press and up at the second, by mouse and by keyboard.
async function sorts(browser, what) {
  for (const table of await browser.findElements(By.css("table"))) {
    const heads = await table.findElements(By.css("thead th"));
    for (let at = 1; at < heads.length; at += 1) {
      const before = await column(table, at);
      const numbers = before.map(number);
      if (numbers.some((value) => value === null) || new Set(numbers).size < 3) continue;
      const button = await heads[at].findElement(By.css("button"));
      await browser.executeScript((button) => button.scrollIntoView({ block: "center", inline: "center" }), button);
      await button.click();
      assert.equal(await heads[at].getAttribute("aria-sort"), "descending", what);
      assert.deepEqual((await column(table, at)).map(number), numbers.toSorted((a, b) => b - a), `${what}: descending`);
      await button.sendKeys(Key.ENTER);
      assert.equal(await heads[at].getAttribute("aria-sort"), "ascending", what);
      assert.deepEqual((await column(table, at)).map(number), numbers.toSorted((a, b) => a - b), `${what}: ascending`);
      return;
    }
  }
  console.log(`${what}: no table has a column of numbers to sort by`);
}

// What units, signs and texts do to the order of a column, with the script of the page.
async function sortsUnits(browser) {
  const texts = ["n/a", "1.5 MiB", "≤ 2 KiB", "−3 B", "<0.01", "1,024 KiB [1, 2]", "not exercised"];
  const rows = texts.map((text) => `<tr><th>x</th><td>${text.replace("<", "&lt;")}</td></tr>`).join("");
  const script = readFileSync(process.env.PAGE_SCRIPT, "utf8");
  const html = `<table><thead><tr><th>a</th><th>b</th></tr></thead><tbody>${rows}</tbody></table><script>${script}</script>`;
  await browser.get(`data:text/html;charset=utf-8,${encodeURIComponent(html)}`);
  const table = await browser.findElement(By.css("table"));
  await table.findElement(By.css("thead th:nth-child(2) button")).click();
  const sorted = ["1.5 MiB", "1,024 KiB [1, 2]", "≤ 2 KiB", "<0.01", "−3 B"];
  assert.deepEqual((await column(table, 1)).slice(0, 5), sorted, "numbers first, by size in one unit");
}

// A text in the field above a long table leaves the rows that have it.
async function filters(browser, what) {
  const [field] = await browser.findElements(By.css(".filter input"));
  if (!field) return;
  const table = await field.findElement(By.xpath("ancestor::div[contains(@class, 'table')]//table"));
  const shown = () => browser.executeScript((table) => [...table.tBodies[0].rows].filter((row) => row.checkVisibility()).map((row) => row.textContent.toLowerCase()), table);
  const all = await shown();
  const wanted = (await column(table, 0))[1].toLowerCase();
  await field.sendKeys(wanted);
  assert.deepEqual(await shown(), all.filter((text) => text.includes(wanted)), `${what}: filter`);
  await field.sendKeys(Key.chord(Key.CONTROL, "a"), Key.BACK_SPACE);
  assert.equal((await shown()).length, all.length, `${what}: an empty filter`);
}

async function links(browser, page, what) {
  const targets = await browser.executeScript(() => [...document.querySelectorAll("a[href]")].map((a) => a.getAttribute("href")));
  for (const target of new Set(targets)) {
    if (target.startsWith("#")) {
      assert.equal((await browser.findElements(By.id(target.slice(1)))).length, 1, `${what}: ${target}`);
    } else if (!target.startsWith("https://")) {
      assert.ok(existsSync(join(dirname(page), target)), `${what}: ${target} lies beside it`);
    }
  }
}

// An address that leads nowhere is no error of the page's script.
async function endures(browser, page) {
  for (const part of ["#no-such-part", "#%"]) {
    await browser.get("about:blank");
    await browser.get(pathToFileURL(resolve(page)).href + part);
    await settle(browser);
    const said = await browser.manage().logs().get(logging.Type.BROWSER);
    assert.deepEqual(said.map((entry) => entry.message), [], `${page}${part}: console`);
  }
}

// A drawing by itself is a picture, too.
async function drawings(browser, page) {
  const folder = join(dirname(page), "figures");
  for (const name of existsSync(folder) ? readdirSync(folder) : []) {
    await browser.get(pathToFileURL(resolve(folder, name)).href);
    const root = await browser.executeScript(() => [document.documentElement.tagName, document.querySelectorAll("parsererror").length]);
    assert.deepEqual(root, ["svg", 0], name);
  }
}

async function picture(browser, page, name, width, height, scheme) {
  await show(browser, page, width, scheme);
  await browser.sendDevToolsCommand("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: width < 500 });
  writeFileSync(join(pictures, name), await browser.takeScreenshot(), "base64");
}

const browser = await driver();
try {
  // A long page takes axe a while on a busy machine.
  await browser.manage().setTimeouts({ script: 300_000, pageLoad: 300_000 });
  if (!pictures) await sortsUnits(browser);
  for (const page of given) {
    if (pictures) {
      await picture(browser, page, "report.png", 1000, 900, "light");
      await picture(browser, page, "report-phone.png", 420, 900, "dark");
      continue;
    }
    for (const width of WIDTHS) {
      for (const scheme of SCHEMES) {
        const what = `${page} at ${width} pixels, ${scheme}`;
        await show(browser, page, width, scheme);
        await isWhole(browser, what);
        await unfold(browser);
        await isWhole(browser, `${what}, unfolded`);
        // Contrast depends on the scheme, all else on the width.
        if (width === WIDTHS[0] || width === WIDTHS[2]) await isAccessible(browser, what);
      }
    }
    await show(browser, page, 1280, "light");
    await unfold(browser);
    await sorts(browser, page);
    await filters(browser, page);
    await links(browser, page, page);
    await endures(browser, page);
    const folded = () => browser.executeScript(() => document.querySelectorAll("details:not([open])").length);
    await show(browser, page, 1280, "light");
    const before = await folded();
    await browser.executeScript(() => dispatchEvent(new Event("beforeprint")));
    assert.equal(await folded(), 0, `${page}: paper shows everything`);
    await browser.executeScript(() => dispatchEvent(new Event("afterprint")));
    assert.equal(await folded(), before, `${page}: the screen is as it was`);
    await show(browser, page, 1280, "light", "print");
    const printed = await browser.sendAndGetDevToolsCommand("Page.printToPDF", {});
    assert.ok(printed.data.length > 10_000, `${page}: prints`);
    await drawings(browser, page);
    console.log(`ok: ${page}`);
  }
} finally {
  await browser.quit();
}
