// The page of the chat. Whatever people write becomes text (textContent), never markup.
"use strict";

const LOGGED_OUT = 4001, TOO_MANY_SOCKETS = 4002;
const USUAL_ROOMS = ["lobby", "python", "tea-kitchen"];
const KEPT = 500;  // messages on the page
const FIRST_PAUSE = 500, LONGEST_PAUSE = 15000;  // milliseconds between attempts to connect

const find = id => document.getElementById(id);
const page = {
  me: null, room: "lobby", rooms: "", socket: null, shown: new Set(), pause: FIRST_PAUSE, timer: 0, unread: 0,
};

function make(tag, text, attributes = {}) {
  const element = document.createElement(tag);
  element.textContent = text;
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
}

function paint(element, user) {
  element.style.setProperty("--hue", parseInt(user.id.slice(0, 4), 16) % 360);
  element.title = `${user.name} (${user.id.slice(0, 4)})`;
  return element;
}

// Who am I

async function start() {
  const answer = await fetch("/me").catch(() => null);
  if (answer === null) {
    retry();
  } else if (answer.ok) {
    enter(await answer.json());
  } else {
    showDoor();
  }
}

function showDoor() {
  leave();
  page.me = null;
  find("chat").hidden = true;
  find("door").hidden = false;
  find("name").focus();
}

function enter(user) {
  page.me = user;
  find("me").textContent = user.name;
  find("door").hidden = true;
  find("chat").hidden = false;
  goToRoom();
}

find("login").addEventListener("submit", async event => {
  event.preventDefault();
  const body = new URLSearchParams({ name: find("name").value });
  const answer = await fetch("/login", { method: "POST", body }).catch(() => null);
  find("login-error").textContent = answer === null ? "The server can't be reached." : answer.ok ? "" : await answer.text();
  if (answer?.ok) {
    enter(await answer.json());
    find("text").focus();
  }
});

find("logout").addEventListener("click", async () => {
  const answer = await fetch("/logout", { method: "POST" }).catch(() => null);
  if (answer?.ok || answer?.status === 401) showDoor();
  else note(answer === null ? "The server can't be reached." : await answer.text());
});

// Rooms

function goToRoom() {
  const wanted = location.hash.slice(1);
  page.room = /^[a-z0-9-]{1,32}$/.test(wanted) ? wanted : "lobby";
  find("room-name").textContent = page.room;
  find("messages").replaceChildren();
  find("people").replaceChildren();
  find("count").textContent = "";
  page.shown.clear();
  page.unread = 0;
  showTitle();
  showRooms();
  page.pause = FIRST_PAUSE;
  connect();
}

addEventListener("hashchange", () => { if (page.me) goToRoom(); });

find("go").addEventListener("submit", event => {
  event.preventDefault();
  location.hash = find("other-room").value;
  find("go").reset();
});

async function showRooms() {
  const answer = await fetch("/rooms").catch(() => null);
  const counts = answer?.ok ? await answer.json() : {};
  const names = [...new Set([...USUAL_ROOMS, page.room, ...Object.keys(counts)])];
  const rooms = JSON.stringify([names, counts, page.room]);
  if (rooms === page.rooms) return;  // a link that somebody is about to press stays
  page.rooms = rooms;
  find("rooms").replaceChildren(...names.map(name => {
    const link = make("a", "", { href: `#${name}` });
    if (name === page.room) link.setAttribute("aria-current", "page");
    link.append(make("span", name), make("span", counts[name] ?? "", { class: "count" }));
    const item = make("li", "");
    item.append(link);
    return item;
  }));
}

setInterval(() => { if (page.me && !document.hidden) showRooms(); }, 10000);

// The connection: one socket for one room, opened again when it is lost

function connect() {
  leave();
  showStatus("connecting", "Connecting …");
  const scheme = location.protocol === "https:" ? "wss" : "ws";
  const socket = page.socket = new WebSocket(`${scheme}://${location.host}/rooms/${page.room}`);
  socket.addEventListener("message", message => { if (socket === page.socket) take(JSON.parse(message.data)); });
  socket.addEventListener("close", closed => { if (socket === page.socket) lose(closed); });
}

function leave() {
  clearTimeout(page.timer);
  const socket = page.socket;
  page.socket = null;
  socket?.close();
}

function lose(closed) {
  page.socket = null;
  if (closed.code === LOGGED_OUT) {
    showDoor();
  } else if (closed.code === TOO_MANY_SOCKETS) {
    showStatus("closed", "Too many pages are open. Close one and reload.");
  } else {
    retry();
  }
}

function retry() {
  const pause = page.pause * (0.75 + Math.random() / 2);  // not all pages at once
  page.pause = Math.min(page.pause * 2, LONGEST_PAUSE);
  showStatus("closed", "Connection lost, trying again …");
  page.timer = setTimeout(reconnect, pause);
}

async function reconnect() {
  clearTimeout(page.timer);
  // A browser doesn't tell a page why a handshake was refused: ask who we are first.
  const answer = await fetch("/me").catch(() => null);
  if (answer === null || answer.status >= 500) retry();
  else if (!answer.ok) showDoor();
  else if (page.me) connect();
  else enter(await answer.json());
}

addEventListener("online", () => { if (page.socket === null && page.me) reconnect(); });

function showStatus(state, text) {
  find("status").dataset.state = state;
  find("status").textContent = text;
}

// What comes

function take(event) {
  switch (event.kind) {
    case "welcome":
      page.pause = FIRST_PAUSE;
      showStatus("open", "Connected");
      event.recent.forEach(showMessage);
      showPeople(event.users);
      break;
    case "message":
      showMessage(event);
      break;
    case "present":
      showPeople(event.users);
      break;
    case "refused":
      find("say-error").textContent = event.reason;
      find("text").value ||= event.text;
      break;
  }
}

function showMessage(message) {
  if (page.shown.has(message.id)) return;
  page.shown.add(message.id);
  const item = make("li", "");
  item.dataset.id = message.id;
  if (message.user.id === page.me.id) item.className = "mine";
  const when = new Date(message.time * 1000);
  item.append(
    paint(make("span", message.user.name, { class: "name" }), message.user),
    make("time", when.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit" }), { datetime: when.toISOString() }),
    make("p", message.text),
  );
  addItem(item);
  if (document.hidden) {
    page.unread += 1;
    showTitle();
  }
}

function note(text) {
  addItem(make("li", text, { class: "note" }));
}

function addItem(item) {
  const list = find("messages");
  const isAtEnd = list.scrollHeight - list.scrollTop - list.clientHeight < 80;
  list.append(item);
  while (list.children.length > KEPT) {
    page.shown.delete(list.firstElementChild.dataset.id);
    list.firstElementChild.remove();
  }
  if (isAtEnd || item.className === "mine") list.scrollTop = list.scrollHeight;
}

function showPeople(users) {
  find("count").textContent = users.length;
  const count = document.querySelector("#rooms [aria-current] .count");
  if (count) count.textContent = users.length;
  find("people").replaceChildren(...users.map(user => {
    const item = paint(make("li", ""), user);
    item.append(make("span", user.name + (user.id === page.me.id ? " (you)" : "")));
    return item;
  }));
}

function showTitle() {
  document.title = `${page.unread ? `(${page.unread}) ` : ""}#${page.room} · corelet chat`;
}

document.addEventListener("visibilitychange", () => {
  if (document.hidden) return;
  page.unread = 0;
  showTitle();
});

// What goes

find("skip").addEventListener("click", () => find("text").focus());

find("say").addEventListener("submit", event => {
  event.preventDefault();
  const field = find("text");
  if (page.socket?.readyState !== WebSocket.OPEN) {
    find("say-error").textContent = "Not connected: the message stays here until we are.";
    return;
  }
  find("say-error").textContent = "";
  page.socket.send(JSON.stringify({ text: field.value }));
  field.value = "";
});

start();
