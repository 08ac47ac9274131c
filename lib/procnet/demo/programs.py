"""Programs, remote ends and user names of the made-up fleet. Public addresses are reserved for documentation."""

from __future__ import annotations

from dataclasses import replace
from hashlib import sha256

from procnet.demo.sysmon import Image, Remote


def image(path: str, original: str) -> Image:
    """A program whose hashes are made from its path, so that they are the same on all machines."""
    digest = sha256(path.lower().encode()).hexdigest().upper()
    return Image(path, original, f"SHA256={digest},IMPHASH={digest[:32]}")


_SYSTEM32, _FILES = "C:\\Windows\\System32\\", "C:\\Program Files\\"

MSIEXEC = image(_SYSTEM32 + "msiexec.exe", "msiexec.exe")
MSIEXEC_WOW = image("C:\\Windows\\SysWOW64\\MsiExec.exe", "msiexec.exe")
MSIEXEC_RENAMED = image("C:\\ProgramData\\Fleet\\update-helper.exe", "msiexec.exe")
SERVICES = image(_SYSTEM32 + "services.exe", "services.exe")
EXPLORER = image("C:\\Windows\\explorer.exe", "EXPLORER.EXE")
SVCHOST = image(_SYSTEM32 + "svchost.exe", "svchost.exe")
CHROME = image(_FILES + "Google\\Chrome\\Application\\chrome.exe", "chrome.exe")
EDGE = image("C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe", "msedge.exe")
OUTLOOK = image(_FILES + "Microsoft Office\\root\\Office16\\OUTLOOK.EXE", "Outlook.exe")
WORD = image(_FILES + "Microsoft Office\\root\\Office16\\WINWORD.EXE", "WinWord.exe")
UPDATER = image(_FILES + "Fleet\\Updater\\fleet-updater.exe", "fleet-updater.exe")
PYTHON = image(_FILES + "Python312\\python.exe", "python.exe")
POWERSHELL = image(_SYSTEM32 + "WindowsPowerShell\\v1.0\\powershell.exe", "PowerShell.EXE")
CONHOST = image(_SYSTEM32 + "conhost.exe", "CONHOST.EXE")

PACKAGES = Remote("203.0.113.80", 443, "packages.example.net", asker="process")
PACKAGES_PLAIN = Remote("203.0.113.80", 80, "packages.example.net", asker="process")
PACKAGES_V6 = Remote("2001:db8:0:0:0:0:0:80", 443, "packages.example.net", asker="process")
# Queried by the DNS client service, and by nobody: the name was in a cache.
PACKAGES_BY_SERVICE = replace(PACKAGES, asker="service")
PACKAGES_UNQUERIED = replace(PACKAGES, asker="nobody")
PACKAGES_8080 = Remote("203.0.113.80", 8080, "packages.example.net")
DEPOT = Remote("10.0.0.20", 443, "depot.fleet.example")
DEPOT_PLAIN = Remote("10.0.0.20", 80, "depot.fleet.example")
DEPOT_SMB = Remote("10.0.0.20", 445, "depot.fleet.example")
SITE = Remote("198.51.100.17", 443, "www.example.com")
# The owner of the address gave it a harmless reverse name.
DISGUISED = replace(SITE, query_name="payload.example.org", asker="process")
SCANNER = Remote("10.0.0.99", 443, "scanner.fleet.example")

OUTSIDE = (
    *[Remote(f"192.0.2.{i}", 443, f"cdn{i}.example.com") for i in range(1, 120)],
    *[Remote(f"198.51.100.{i}", 443, f"app{i}.example.net") for i in range(1, 120)],
    *[Remote(f"203.0.113.{i}", 80, f"ocsp{i}.example.org") for i in range(1, 60)],
    *[Remote(f"2001:db8:0:{i:x}:0:0:0:{i * 7:x}", 443, f"v6-{i}.example.com") for i in range(1, 40)],
)
INSIDE = (
    *[Remote(f"10.0.1.{i}", 445, f"files{i}.fleet.example") for i in range(1, 20)],
    *[Remote(f"10.0.2.{i}", 443, f"app{i}.fleet.example") for i in range(1, 20)],
    *[Remote(f"10.0.3.{i}", 8080, f"proxy{i}.fleet.example") for i in range(1, 6)],
)

NAMES = (
    "asha", "bruno", "chen", "dara", "elif", "femi", "greta", "hugo", "imani", "jonas", "kaya", "lena", "musa", "noor",
)  # fmt: skip
