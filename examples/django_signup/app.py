"""Sign up by phone with Django: a whole project in one file."""

from __future__ import annotations

import os
import secrets
import sys
import tempfile
from pathlib import Path
from typing import Any

import django
from django.conf import settings
from django.core.management import call_command, execute_from_command_line
from django.http import HttpRequest, HttpResponse
from django.urls import path

from otp_service_client import OtpClient, OtpServiceError, ProofError

HERE = Path(__file__).parent
OTP_URL = os.environ["OTP_URL"]
otp = OtpClient(OTP_URL, os.environ["OTP_SECRET_KEY"])

settings.configure(
    SECRET_KEY=os.environ.get("SECRET_KEY") or secrets.token_urlsafe(32),
    ALLOWED_HOSTS=["localhost", "127.0.0.1"],
    ROOT_URLCONF=__name__,
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.sessions"],
    MIDDLEWARE=[
        "django.middleware.security.SecurityMiddleware",
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.middleware.csrf.CsrfViewMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
    ],
    TEMPLATES=[
        {
            "BACKEND": "django.template.backends.django.DjangoTemplates",
            "DIRS": [HERE / "templates"],
            "OPTIONS": {"context_processors": ["django.contrib.auth.context_processors.auth"]},
        }
    ],
    DATABASES={  # temporary
        "default": {"ENGINE": "django.db.backends.sqlite3", "NAME": Path(tempfile.mkdtemp()) / "db.sqlite3"}
    },
    DEFAULT_AUTO_FIELD="django.db.models.BigAutoField",
)
django.setup()

from django import forms  # noqa: E402 - Django needs its settings first
from django.contrib.auth import login, logout  # noqa: E402
from django.contrib.auth.hashers import make_password  # noqa: E402
from django.contrib.auth.models import User  # noqa: E402
from django.shortcuts import redirect, render  # noqa: E402
from django.views.decorators.http import require_POST  # noqa: E402


class SignupForm(forms.Form):
    """A name, and the proof that the widget added to the form. `phone` comes from the proof."""

    name = forms.CharField(max_length=80)
    proof = forms.CharField(error_messages={"required": "Please verify your phone."})

    def clean(self) -> dict[str, Any]:
        """Redeem the proof after all other checks, because that is possible only once."""
        if not self.errors:
            try:
                self.phone = otp.redeem(self.cleaned_data["proof"], purpose="signup").phone
            except ProofError:
                self.add_error("proof", "Please verify your phone again.")
            except OtpServiceError:
                self.add_error(None, "We cannot sign you up at the moment.")
        return self.cleaned_data


def home(request: HttpRequest) -> HttpResponse:
    """Show the account or the form. Sign up the owner of the phone in the proof."""
    form = SignupForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        defaults = {"first_name": form.cleaned_data["name"], "password": make_password(None)}
        user, _ = User.objects.get_or_create(username=form.phone, defaults=defaults)
        login(request, user)  # also if the account exists: the proof shows that it is theirs
        return redirect("/")
    context = {"form": form, "otp_url": OTP_URL, "key": os.environ["OTP_PUBLISHABLE_KEY"]}
    return render(request, "page.html", context, status=422 if form.errors else 200)


@require_POST
def log_out(request: HttpRequest) -> HttpResponse:
    """End the session."""
    logout(request)
    return redirect("/")


urlpatterns = [path("", home), path("logout", log_out)]

if __name__ == "__main__":
    call_command("migrate", verbosity=0)
    execute_from_command_line([sys.argv[0], "runserver", "--noreload", os.environ.get("PORT", "8000")])
