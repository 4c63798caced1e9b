"use strict";
const words = {
  ko: { eyebrow: "이천 · 담양 · 보성의 작은 공방에서", headline: "손으로 빚은 하루,\n오래 남는 물건", lead: "매일 쓰는 것일수록 천천히 만듭니다. 오늘 가마에서 나온 것을 오늘 보냅니다.", browse: "둘러보기", section: "이 계절의 물건",
    bag: "장바구니", add: "담기", added: n => `${n}을(를) 담았습니다`, total: "합계", order: "주문하기", empty: "아직 담은 것이 없습니다", ordered: n => `주문 ${n} · 감사합니다! (견본 상점이라 배송은 없습니다)`,
    down: "상품을 불러오지 못했습니다. 다시 시도하고 있습니다…", failed: "지금은 장바구니를 쓸 수 없습니다", made: "견본 상점 · Caisson으로 배포", served: v => `${v.environment} · ${v.version} · 파드 ${v.pod}`, other: "English", otherCode: "en",
    tags: { new: "새로 나온", loved: "사랑받는" }, promises: [["한 점씩", "같은 것은 둘도 없습니다."], ["깨지면 다시", "오는 길에 깨지면 새로 빚어 보냅니다."], ["보자기 포장", "선물은 천으로 쌉니다."]] },
  en: { eyebrow: "From small studios in Icheon, Damyang and Boseong", headline: "Made by hand,\nkept for years", lead: "What you use every day deserves to be made slowly. What leaves the kiln today leaves us today.", browse: "Look around", section: "This season",
    bag: "Bag", add: "Add", added: n => `${n} is in your bag`, total: "Total", order: "Order", empty: "Nothing here yet", ordered: n => `Order ${n} · thank you! (A sample shop: nothing will be sent)`,
    down: "The products could not be loaded; trying again…", failed: "The bag is not available at the moment", made: "A sample shop, delivered by Caisson", served: v => `${v.environment} · ${v.version} · pod ${v.pod}`, other: "한국어", otherCode: "ko",
    tags: { new: "New", loved: "Loved" }, promises: [["One of each", "No two pieces are alike."], ["Broken? Again", "If it breaks on the way, we make another."], ["Wrapped in cloth", "Gifts come in bojagi."]] },
};
const art = {
  "moon-jar": '<path d="M80 26h40l-4 13c32 9 54 31 54 58 0 29-29 48-70 48s-70-19-70-48c0-27 22-49 54-58z" fill="#fbf8f2" stroke="#bcb19d"/><path d="M44 72q10-18 30-24" fill="none" stroke="#fff" stroke-width="7" stroke-linecap="round"/><path d="M150 74q18 40-30 66 46-6 50-42-4-18-20-24z" fill="#d9cfbe" opacity=".55"/>',
  "teapot": '<path d="M146 76q26-8 26 14t-30 24" fill="none" stroke="#7da892" stroke-width="7"/><path d="M52 92q-22-4-28-30l9-3q6 14 24 16z" fill="#8fbaa4"/><path d="M50 88q4-32 50-32t50 32q0 48-50 50-50-2-50-50z" fill="#9fc7b2" stroke="#6b9a84"/><path d="M70 60q30-14 60 0-30 10-60 0z" fill="#b9d8c8" stroke="#6b9a84"/><circle cx="100" cy="46" r="7" fill="#8fbaa4" stroke="#6b9a84"/><path d="M64 84q4-14 22-18" fill="none" stroke="#d5e9de" stroke-width="5" stroke-linecap="round"/>',
  "tea-cup": '<path d="M54 66h92q-2 62-46 68-44-6-46-68z" fill="#f4efe6" stroke="#b8ac97"/><ellipse cx="100" cy="66" rx="46" ry="11" fill="#e6dfd1" stroke="#b8ac97"/><ellipse cx="100" cy="69" rx="37" ry="7" fill="#b5bf6e"/><path d="M84 134h32v7H84z" fill="#d8cebc"/><g fill="none" stroke="#cfc6b6" stroke-width="3" stroke-linecap="round"><path d="M88 48q-7-10 0-19t0-17"/><path d="M110 48q-7-10 0-19t0-17"/></g>',
  "rice-bowl": '<path d="M62 70q38-34 76 0z" fill="#fffdf7" stroke="#ddd5c4"/><path d="M38 72h124q-4 58-62 62-58-4-62-62z" fill="#c9b79d" stroke="#95826a"/><ellipse cx="100" cy="72" rx="62" ry="9" fill="none" stroke="#95826a" stroke-width="2"/><g fill="#8a765d"><circle cx="66" cy="96" r="2"/><circle cx="84" cy="112" r="1.6"/><circle cx="118" cy="100" r="2"/><circle cx="134" cy="92" r="1.5"/><circle cx="104" cy="122" r="1.7"/><circle cx="94" cy="92" r="1.3"/></g><path d="M80 133h40l4 9H76z" fill="#ab987d"/>',
  "tray": '<path d="M30 84l38-24h98l6 4-40 28H34z" fill="#8a6143"/><path d="M30 84l38-24h98l-36 24z" fill="#a97a55"/><path d="M52 78l26-14M78 80l30-18M106 80l30-18" stroke="#936746" stroke-width="1.6"/><path d="M34 92h98v8H34zM132 92l40-28v7l-40 29z" fill="#74503a"/><path d="M42 100h9l-3 34h-6zM116 100h9v34h-6zM160 80h7v30h-5z" fill="#5f412e"/>',
  "incense": '<path d="M44 120q4-30 56-32t58 30q-8 18-58 18t-56-16z" fill="#86898a"/><path d="M56 112q14-18 44-18" fill="none" stroke="#a8abab" stroke-width="6" stroke-linecap="round"/><path d="M104 94l26-60" stroke="#6d4b36" stroke-width="3"/><circle cx="130" cy="33" r="3.4" fill="#e0793f"/><path d="M132 28q12-8 2-16t6-14" fill="none" stroke="#b5aea2" stroke-width="3" stroke-linecap="round"/>',
  "vase": '<path d="M92 60h16l-2 20q26 12 26 36 0 28-32 28t-32-28q0-24 26-36z" fill="#6f8fa3" stroke="#4d6b7e"/><path d="M80 104q4-14 16-18" fill="none" stroke="#a9c1cf" stroke-width="5" stroke-linecap="round"/><path d="M100 62q-4-26 18-46M104 42q-16-4-20-18M110 30q12 2 20-6" fill="none" stroke="#6b4f3a" stroke-width="2.6"/><g fill="#efb7b0"><circle cx="118" cy="16" r="7"/><circle cx="84" cy="24" r="6.5"/><circle cx="130" cy="24" r="5.5"/><circle cx="103" cy="40" r="4.5"/></g>',
  "tea": '<path d="M58 42h84l8 100H50z" fill="#4f7a4d"/><path d="M58 42h84l-3-16H61z" fill="#3f633e"/><rect x="68" y="64" width="64" height="56" rx="4" fill="#f3eedf"/><path d="M100 76q22 4 18 30-22 2-24-18 0-8 6-12z" fill="#7fa35a"/><path d="M96 112q6-20 18-28" fill="none" stroke="#55783a" stroke-width="2"/><path d="M88 92q-12 0-12 14 12 2 16-8z" fill="#94b86d"/>',
};
const $ = id => document.getElementById(id);
let language = localStorage.language || (navigator.language.startsWith("ko") ? "ko" : "en");
let goods = [], cart = { lines: [], count: 0, total: 0 }, served = null;

const escape = text => text.replace(/[&<>"]/g, c => `&#${c.charCodeAt(0)};`);
const won = n => language === "ko" ? n.toLocaleString("ko-KR") + "원" : "₩" + n.toLocaleString("en-US");
const picture = (id, label) => `<svg viewBox="0 0 200 150" role="img" aria-label="${escape(label)}">${art[id] || '<circle cx="100" cy="75" r="40" fill="#cfc6b6"/>'}</svg>`;

async function api(method, path, body) {
  const answer = await fetch("/api/" + path, { method, headers: body ? { "Content-Type": "application/json" } : {}, body: body && JSON.stringify(body) });
  if (!answer.ok) throw new Error(path + ": " + answer.status);
  return answer.json();
}

let hide;
function toast(text) {
  $("toast").textContent = text;
  $("toast").classList.add("on");
  clearTimeout(hide);
  hide = setTimeout(() => $("toast").classList.remove("on"), 3500);
}

function card(product) {
  const w = words[language], name = product.name[language];
  const tag = product.tag && w.tags[product.tag] ? `<span class="tag">${w.tags[product.tag]}</span>` : "";
  return `<article><figure>${picture(product.id, name)}${tag}</figure><div class="text"><h3>${escape(name)}</h3><p>${escape(product.about[language])}</p>` +
    `<div class="buy"><span class="price">${won(product.price)}</span><button class="add" data-add="${product.id}" aria-label="${w.add}: ${escape(name)}">${w.add}</button></div></div></article>`;
}

function line(item) {
  const product = goods.find(p => p.id === item.product), name = product ? product.name[language] : item.product;
  return `<li>${picture(item.product, name)}<div>${escape(name)}<br><span class="steps"><button data-set="${item.product}" data-to="${item.quantity - 1}" aria-label="−">−</button>` +
    `<span>${item.quantity}</span><button data-set="${item.product}" data-to="${item.quantity + 1}" aria-label="+">+</button></span></div><span class="price">${won(item.sum)}</span></li>`;
}

function show() {
  const w = words[language];
  document.documentElement.lang = language;
  for (const id of ["eyebrow", "headline", "lead", "browse", "section", "made", "order"]) $(id).textContent = w[id];
  $("language").textContent = w.other;
  $("language").lang = w.otherCode;
  $("bag-label").textContent = $("bag-title").textContent = w.bag;
  $("bag-count").textContent = cart.count;
  $("total-label").textContent = w.total;
  $("total").textContent = won(cart.total);
  $("order").disabled = cart.count === 0;
  $("goods").innerHTML = goods.map(card).join("") || `<p class="note">${w.down}</p>`;
  $("lines").innerHTML = cart.lines.map(line).join("") || `<li class="empty">${w.empty}</li>`;
  $("promises").innerHTML = w.promises.map(([title, text]) => `<li><b>${title}</b>${text}</li>`).join("");
  $("served").textContent = served ? w.served(served) : "";
}

function openBag(open) {
  $("bag").classList.toggle("open", open);
  $("bag").inert = !open;
  $("shade").hidden = !open;
}

async function change(product, quantity) {
  try {
    cart = await api("PUT", "cart/items/" + product, { quantity });
  } catch {
    toast(words[language].failed);
  }
  show();
}

async function order() {
  try {
    const made = await api("POST", "checkout");
    cart = { lines: [], count: 0, total: 0 };
    openBag(false);
    toast(words[language].ordered(made.order));
  } catch {
    toast(words[language].failed);
  }
  show();
}

async function load() {
  try {
    goods = await api("GET", "products");
    served = await api("GET", "version");
    cart = await api("GET", "cart").catch(() => cart);
  } catch {
    setTimeout(load, 2000);
  }
  show();
}

document.addEventListener("click", event => {
  const button = event.target.closest("button, #shade");
  if (!button) return;
  const { add, set, to } = button.dataset;
  if (add) {
    const had = cart.lines.find(l => l.product === add);
    change(add, Math.min(99, (had ? had.quantity : 0) + 1)).then(() => toast(words[language].added(goods.find(p => p.id === add).name[language])));
  }
  if (set) change(set, Math.min(99, Number(to)));
  if (button.id === "language") { language = localStorage.language = words[language].otherCode; show(); }
  if (button.id === "open-bag") openBag(true);
  if (button.id === "close" || button.id === "shade") openBag(false);
  if (button.id === "order") order();
});
document.addEventListener("keydown", event => { if (event.key === "Escape") openBag(false); });
show();
load();
