// Sends the proof as soon as it is available, and shows the result.

const status = document.querySelector("#status");

document.addEventListener("otp-verified", async (event) => {
  const response = await fetch("/api/login", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ proof: event.detail.proof }),
  });
  const result = await response.json();
  status.textContent = response.ok ? `You are logged in as ${result.phone}.` : result.detail;
});
