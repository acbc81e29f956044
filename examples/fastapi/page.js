// Hands the proof over as soon as there is one, and says who is logged in.

const told = document.querySelector("#told");

document.addEventListener("otp-verified", async (event) => {
  const response = await fetch("/api/login", {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ proof: event.detail.proof }),
  });
  const answer = await response.json();
  told.textContent = response.ok ? `You are logged in as ${answer.phone}.` : answer.detail;
});
