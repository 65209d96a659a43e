"use strict";
const form = document.getElementById("form");
const progress = document.getElementById("progress");
const state = document.getElementById("state");

async function showPictures() {
  const answer = await fetch("/pictures");
  const pictures = (await answer.json()).map(address => {
    const image = document.createElement("img");
    image.src = address;
    image.alt = "";
    image.loading = "lazy";
    return image;
  });
  document.getElementById("pictures").replaceChildren(...pictures);
}

// fetch() tells nothing of how far an upload is.
function upload(data) {
  return new Promise((resolve, reject) => {
    const request = new XMLHttpRequest();
    request.upload.onprogress = event => { progress.value = event.loaded / event.total; };
    request.onload = () => (request.status === 201 ? resolve() : reject(new Error(request.responseText)));
    request.onerror = () => reject(new Error("the connection was lost"));
    request.open("POST", "/pictures");
    request.send(data);
  });
}

form.onsubmit = async event => {
  event.preventDefault();
  progress.hidden = false;
  progress.value = 0;
  state.textContent = "uploading";
  try {
    await upload(new FormData(form));
    state.textContent = "done";
    form.reset();
    await showPictures();
  } catch (error) {
    state.textContent = error.message;
  }
};

showPictures();
