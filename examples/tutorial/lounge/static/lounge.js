const messages = document.querySelector("#messages");
const form = document.querySelector("#say");
const socket = new WebSocket(`${location.protocol.replace("http", "ws")}//${location.host}/talk`);

function show(text) {
  const line = document.createElement("li");
  line.textContent = text;
  messages.append(line);
}

socket.onmessage = (event) => {
  const { user, text } = JSON.parse(event.data);
  show(`${user}: ${text}`);
};

socket.onclose = (event) => {
  show(`The connection has ended. ${event.reason}`);
};

form.onsubmit = (event) => {
  event.preventDefault();
  socket.send(form.elements.text.value);
  form.reset();
};
