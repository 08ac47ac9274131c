"""Cases of Windows' own records in every container: samples, and made-up records for what the samples lack."""

from __future__ import annotations

from sources.windows_case import Case, Field

SYSMON = {"vendor_product": "Microsoft Sysmon"}
SECURITY = {"vendor_product": "Microsoft Windows Security"}
START = {"event_kind": "start", "action": "allowed"}
END = {"event_kind": "end"}
# Most samples are connections that the host opened.
TCP = {"transport": "tcp", "direction": "outbound", "action": "allowed", "protocol_version": "ipv4"}
SYSTEM32 = "C:\\Windows\\System32"
POWERSHELL = f"{SYSTEM32}\\WindowsPowerShell\\v1.0\\powershell.exe"
COMMAND = {"command_line": Field("CommandLine")}
LINES = {**COMMAND, "process_hash": Field("Hashes"), "parent_command_line": Field("ParentCommandLine")}

# --- windows_flat: Mordor's sets of 2020 and later, and NXLog -------------------------------------------------------
WORKSTATION = {"host": "workstation5"}
SIMULATOR = {"user": "WORKSTATION5\\APT-Simulator", "user_id": "S-1-5-21-315269454-3320600716-4144796452-500"}
RANGE = {"host": "win-dc-6178966.attackrange.local", "user": "NT AUTHORITY\\SYSTEM"}

FLAT_CASES = [
    Case("mordor_mordor_flat_eid1", {
        **SYSMON, **START, **WORKSTATION, **LINES, "event_time": "2021-06-11 09:07:15.635", "process_id": 2164,
        "process_guid": "E2C04BB9-08C3-60C4-1C17-400100000000", "process_name": "ping.exe",
        "process_path": f"{SYSTEM32}\\PING.EXE", "original_file_name": "ping.exe",
        "command_line": "ping  -n 3 127.0.0.1 ",  # ends in a blank
        "user": "WORKSTATION5\\APT-Simulator", "integrity_level": "high", "parent_process_id": 5632,
        "parent_process_guid": "E2C04BB9-D0F0-60C3-48DA-EC0000000000", "parent_process_name": "cmd.exe",
        "parent_process_path": f"{SYSTEM32}\\cmd.exe", "parent_command_line": '"C:\\Windows\\system32\\cmd.exe" ',
    }),
    # The names `-` are unknown; IPv6 in eight groups gets its short spelling.
    Case("mordor_mordor_flat_eid3", {
        **SYSMON, **TCP, **WORKSTATION, "event_time": "2021-06-11 09:07:42.306", "process_id": 4,
        "process_guid": "E2C04BB9-A31B-60C3-EB03-000000000000", "process_name": "system", "process_path": "System",
        "user": "NT AUTHORITY\\SYSTEM", "src_ip": "fe80::5d54:ed5a:760f:c4ff", "src_port": 59324,
        "dest_ip": "fe80::5d54:ed5a:760f:c4ff", "dest_port": 445, "protocol_version": "ipv6",
    }),
    # 0x1948 and 0x1600. The target is S-1-0-0 and `-`: the process runs as its creator's account.
    Case("mordor_mordor_flat_eid4688", {
        **SECURITY, **START, **WORKSTATION, **SIMULATOR, **COMMAND, "event_time": "2021-06-11 09:07:17.666",
        "process_id": 6472, "process_name": "7z.exe",
        "process_path": "C:\\Users\\APT-Simulator\\Documents\\APTSimulator-master\\helpers\\7z.exe",
        "integrity_level": "high", "parent_process_id": 5632, "parent_process_name": "cmd.exe",
        "parent_process_path": f"{SYSTEM32}\\cmd.exe",
    }),
    Case("mordor_mordor_flat_eid4689", {
        **SECURITY, **END, **WORKSTATION, **SIMULATOR, "event_time": "2021-06-11 09:07:17.661", "process_id": 2164,
        "process_name": "ping.exe", "process_path": f"{SYSTEM32}\\PING.EXE",
    }),
    # Its guid is not that of the same process's start: they are joined by the process id.
    Case("mordor_mordor_flat_eid5", {
        **SYSMON, **END, **WORKSTATION, "event_time": "2021-06-11 09:07:17.661", "process_id": 2164,
        "process_guid": "E2C04BB9-08C3-60C4-7809-000000000300", "process_name": "ping.exe",
        "process_path": f"{SYSTEM32}\\PING.EXE",
    }),
    # A ping: the ports are ICMP's type and code, so 0 is a valid port.
    Case("mordor_mordor_flat_eid5156", {
        **SECURITY, **TCP, **WORKSTATION, "event_time": "2021-06-11 09:07:16.654", "process_id": 4,
        "process_name": "system", "process_path": "System", "src_ip": "127.0.0.1", "src_port": 8,
        "dest_ip": "127.0.0.1", "dest_port": 0, "transport": "icmp",
    }),
    # ProcessID, 2804, is the sensor's own, which replaced the event's: the true id is only in the message text.
    Case("nxlog_json_2020_eid1", {
        **SYSMON, **START, **RANGE, **LINES, "event_time": "2020-08-01 07:53:24", "process_id": 2964,
        "process_guid": "41C8662E-1F69-5F25-0000-0010EE870200", "process_name": "trustedinstaller.exe",
        "process_path": "C:\\Windows\\servicing\\TrustedInstaller.exe", "original_file_name": "TrustedInstaller.exe",
        "integrity_level": "system", "parent_process_id": 856,
        "parent_process_guid": "41C8662E-1F61-5F25-0000-00102F530000", "parent_process_name": "services.exe",
        "parent_process_path": f"{SYSTEM32}\\services.exe", "record_id": "1099",
    }),
    Case("nxlog_json_2020_eid3", {
        **SYSMON, **TCP, **RANGE, "event_time": "2020-08-01 07:53:26", "process_id": 2956,
        "process_guid": "41C8662E-1F69-5F25-0000-0010B7860200", "process_name": "splunkd.exe",
        "process_path": "C:\\Users\\Public\\splunkd.exe", "src_ip": "10.0.1.14", "src_port": 49685,
        "dest_ip": "10.0.1.12", "dest_port": 7010, "record_id": "1938",
    }),
    # The only record time is EventTime, in the machine's local time: here two hours before UtcTime. The mapping reads
    # it as UTC, for starts and connections alike. That is a known limit: the record has no better time.
    Case("sekoia_Windows_windows_tests_network_traffic", {
        **SYSMON, **TCP, "event_time": "2019-05-17 11:52:46", "host": "example.com", "process_id": 4200,
        "process_guid": "0BA009B0-846C-5CDE-0000-0010821E0D00", "process_name": "microsoftedgecp.exe",
        "process_path": "C:\\Windows\\SystemApps\\Microsoft.MicrosoftEdge_8wekyb3d8bbwe\\MicrosoftEdgeCP.exe",
        "user": "DESKTOP-FOOBARZ\\UserFoo", "src_ip": "1.1.1.1", "src_port": 49718, "dest_ip": "1.1.1.1",
        "dest_port": 443, "app": "https", "record_id": "51",
    }),
    Case("sekoia_Windows_windows_tests_process_creation", {
        **SYSMON, **START, **LINES, "event_time": "2019-05-17 11:52:59", "host": "example.com", "process_id": 4540,
        "process_guid": "0BA009B0-847B-5CDE-0000-001038720D00", "process_name": "logonui.exe",
        "process_path": f"{SYSTEM32}\\LogonUI.exe", "user": "AUTORITE NT\\SystÃ¨me",  # wrongly encoded in the sample
        "integrity_level": "system", "parent_process_id": 476,
        "parent_process_guid": "0BA009B0-82CF-5CDE-0000-0010883A0000", "parent_process_name": "winlogon.exe",
        "parent_process_path": f"{SYSTEM32}\\winlogon.exe", "parent_command_line": "winlogon.exe", "record_id": "66",
    }),
    Case("sekoia_Windows_windows_tests_sysmon_1_process_name", {
        **SYSMON, **START, **LINES, "event_time": "2023-09-05 12:28:34", "host": "example.com", "process_id": 18144,
        "process_guid": "178446C4-1EF2-64F7-FA8D-010000001100", "process_name": "sdxhelper.exe",
        "process_path": "C:\\Program Files\\Microsoft Office\\root\\Office16\\SDXHelper.exe",
        "original_file_name": "SDXHELPER.EXE", "user": "foo-vm\\adminuser", "integrity_level": "high",
        "parent_process_id": 1772, "parent_process_guid": "178446C4-7A9F-6491-2800-000000001100",
        "parent_process_name": "svchost.exe", "parent_process_path": f"{SYSTEM32}\\svchost.exe",
        "record_id": "13871322",
    }),
    Case("sekoia_Windows_windows_tests_sysmon_3", {
        **SYSMON, **TCP, "event_time": "2019-12-16 08:46:46", "host": "example.com", "process_id": 564,
        "process_guid": "23AD1E42-B4C1-5C41-0000-0010B4020100", "process_name": "lsass.exe",
        "process_path": f"{SYSTEM32}\\lsass.exe", "user": "AUTORITE NT\\Système", "src_ip": "1.1.1.1",
        "src_port": 389, "dest_ip": "1.1.1.1", "dest_port": 1723, "transport": "udp", "record_id": "3463",
    }),
]  # fmt: skip

# --- winlogbeat6: Mordor's sets of 2019; host.name is the collector -------------------------------------------------
IT001 = {"host": "it001.shire.com"}

WINLOGBEAT6_CASES = [
    Case("mordor_winlogbeat6_eid1", {
        **SYSMON, **START, **IT001, **LINES, "event_time": "2019-03-19 07:23:24.226", "process_id": 6684,
        "process_guid": "AA6B4A20-98EC-5C90-0000-00103009B904", "process_name": "wmiprvse.exe",
        "process_path": f"{SYSTEM32}\\wbem\\WmiPrvSE.exe", "user": "NT AUTHORITY\\NETWORK SERVICE",
        "integrity_level": "system", "parent_process_id": 780,
        "parent_process_guid": "AA6B4A20-1232-5C87-0000-0010D4AA0000", "parent_process_name": "svchost.exe",
        "parent_process_path": f"{SYSTEM32}\\svchost.exe", "record_id": "3197150",
    }),
    Case("mordor_winlogbeat6_eid3", {
        **SYSMON, **TCP, **IT001, "event_time": "2019-03-19 07:21:24.929", "process_id": 3948,
        "process_guid": "AA6B4A20-7F69-5C90-0000-001007A4A904", "process_name": "powershell.exe",
        "process_path": POWERSHELL, "user": "SHIRE\\pgustavo", "src_ip": "172.18.39.105", "src_port": 59151,
        "dest_ip": "10.0.10.106", "dest_port": 443, "app": "https", "record_id": "3197051",
    }),
    # The same start as Sysmon's above: 0x1a1c is 6684, 0x30c 780. The target has a name and no SID (S-1-0-0). S-1-5-18
    # is the creator's, as which the process does not run, so its SID is unknown.
    Case("mordor_winlogbeat6_eid4688", {
        **SECURITY, **START, **IT001, **COMMAND, "event_time": "2019-03-19 07:23:24.218", "process_id": 6684,
        "process_name": "wmiprvse.exe", "process_path": f"{SYSTEM32}\\wbem\\WmiPrvSE.exe", "user": "SHIRE\\IT001$",
        "integrity_level": "system", "parent_process_id": 780, "parent_process_name": "svchost.exe",
        "parent_process_path": f"{SYSTEM32}\\svchost.exe", "record_id": "974049",
    }),
    Case("mordor_winlogbeat6_eid4689", {
        **SECURITY, **END, **IT001, "event_time": "2019-03-01 22:48:10.639", "process_id": 7632,
        "process_name": "wermgr.exe", "process_path": f"{SYSTEM32}\\wermgr.exe", "user": "SHIRE\\IT001$",
        "user_id": "S-1-5-18", "record_id": "398747",
    }),
    Case("mordor_winlogbeat6_eid5", {
        **SYSMON, **END, "event_time": "2019-05-18 22:14:32.308", "host": "hr001.shire.com", "process_id": 4120,
        "process_guid": "03BA39F5-838B-5CE0-0000-00103B442702", "process_name": "backgroundtaskhost.exe",
        "process_path": f"{SYSTEM32}\\backgroundTaskHost.exe", "record_id": "2273114",
    }),
    Case("mordor_winlogbeat6_eid5156", {
        **SECURITY, **TCP, "event_time": "2019-03-19 07:20:36.598", "host": "hfdc01.shire.com", "process_id": 1796,
        "process_name": "dns.exe", "process_path": "\\device\\harddiskvolume2\\windows\\system32\\dns.exe",
        "src_ip": "172.18.39.5", "src_port": 51886, "dest_ip": "172.18.39.1", "dest_port": 53, "transport": "udp",
        "record_id": "7715909",
    }),
]  # fmt: skip

# --- winlogbeat7 ----------------------------------------------------------------------------------------------------
ACCT001, HFDC01 = {"host": "acct001.shire.com"}, {"host": "hfdc01.shire.com"}
CERTUTIL = {"process_id": 3728, "process_name": "certutil.exe", "process_path": f"{SYSTEM32}\\certutil.exe"}
CERTUTIL_GUID = "A158F72C-530D-5DB6-0000-001062E9AF00"
LRODRIGUEZ = {"user": "shire\\lrodriguez", "user_id": "S-1-5-21-2379224252-1048547738-3559495803-1113"}
TEAMS = "C:\\Users\\asmithee\\AppData\\Local\\Microsoft\\Teams\\current\\Teams.exe"

WINLOGBEAT7_CASES = [
    Case("mordor_winlogbeat7_eid1", {
        **SYSMON, **START, **ACCT001, **CERTUTIL, **LINES, "event_time": "2019-10-28 02:31:41.375",
        "process_guid": CERTUTIL_GUID, "original_file_name": "CertUtil.exe", "user": "shire\\lrodriguez",
        "integrity_level": "medium", "parent_process_id": 2780,
        "parent_process_guid": "A158F72C-3A9B-5DB6-0000-001001DE8B00", "parent_process_name": "powershell.exe",
        "parent_process_path": POWERSHELL, "record_id": "271574",
    }),
    Case("mordor_winlogbeat7_eid3", {
        **SYSMON, **TCP, **HFDC01, "event_time": "2019-10-28 02:31:02.873", "process_id": 2136,
        "process_guid": "962923AC-A0F3-5DB5-0000-00101A070200", "process_name": "svchost.exe",
        "process_path": f"{SYSTEM32}\\svchost.exe", "user": "NT AUTHORITY\\NETWORK SERVICE",
        "src_ip": "172.18.39.5", "src_port": 49266, "dest_ip": "172.18.39.102", "dest_port": 5985,
        "dest_host": "ip-172-18-39-102.ec2.internal", "record_id": "222721",
    }),
    # The same start as Sysmon's above: 0xe90 is 3728, 0xadc 2780.
    Case("mordor_winlogbeat7_eid4688", {
        **SECURITY, **START, **ACCT001, **CERTUTIL, **LRODRIGUEZ, **COMMAND, "event_time": "2019-10-28 02:31:41.373",
        "integrity_level": "medium", "parent_process_id": 2780, "parent_process_name": "powershell.exe",
        "parent_process_path": POWERSHELL, "record_id": "41339",
    }),
    Case("mordor_winlogbeat7_eid4689", {
        **SECURITY, **END, **ACCT001, **CERTUTIL, **LRODRIGUEZ, "event_time": "2019-10-28 02:31:41.483",
        "record_id": "41347",
    }),
    Case("mordor_winlogbeat7_eid5", {
        **SYSMON, **END, **ACCT001, **CERTUTIL, "event_time": "2019-10-28 02:31:41.483",
        "process_guid": CERTUTIL_GUID, "record_id": "271687",
    }),
    Case("mordor_winlogbeat7_eid5156", {
        **SECURITY, **TCP, **HFDC01, "event_time": "2019-10-28 02:31:04.28", "process_id": 2544,
        "process_name": "microsoft.activedirectory.webservices.exe",
        "process_path": "\\device\\harddiskvolume1\\windows\\adws\\microsoft.activedirectory.webservices.exe",
        "src_ip": "::1", "src_port": 49267, "dest_ip": "::1", "dest_port": 389, "protocol_version": "ipv6",
        "record_id": "116064",
    }),
    # Made anonymous by hand: the parent has the process's own guid.
    Case("sekoia_Beats_winlogbeat_tests_event_process_create_1", {
        **SYSMON, **START, **LINES, "event_time": "2023-10-17 12:03:15.436", "host": "pc01234567.company.com",
        "process_id": 4980, "process_guid": "10FECDBA-1234-ABCD-0A1B-000000000000", "process_name": "teams.exe",
        "process_path": TEAMS, "original_file_name": "Teams.exe", "user": "COMPANY\\asmithee",
        "integrity_level": "low", "parent_process_id": 1124,
        "parent_process_guid": "10FECDBA-1234-ABCD-0A1B-000000000000", "parent_process_name": "teams.exe",
        "parent_process_path": TEAMS, "record_id": "9359683",
    }),
    # Winlogbeat's Sysmon module moves the process from event_data into ECS fields, which this source does not read: the
    # row is a start without a process. The source `ecs` reads the fields, below.
    Case("sekoia_Beats_winlogbeat_tests_sysmon09_2", {
        **SYSMON, **START, "event_time": "2019-03-18 16:57:37.949", "host": "vagrant-2012-r2",
        "integrity_level": "system", "record_id": "3",
    }),
]  # fmt: skip

ECS_CASES = [
    Case("sekoia_Beats_winlogbeat_tests_sysmon09_2", {
        **START, "event_time": "2019-03-18 16:57:37.949", "host": "vagrant-2012-r2", "process_id": 4860,
        "process_guid": "42F11C3B-CE01-5C8F-0000-0010C73E2A00", "process_name": "sysmon.exe",
        "process_path": "C:\\Windows\\Sysmon.exe", "command_line": "C:\\Windows\\Sysmon.exe",
        "user": "NT AUTHORITY\\SYSTEM", "user_id": "S-1-5-18",
        "process_hash": "SHA1=ac93c3b38e57a2715572933dbcb2a1c2892dbc5e", "parent_process_id": 488,
        "parent_process_guid": "42F11C3B-6E1A-5C8C-0000-0010F14D0000", "parent_process_name": "services.exe",
        "parent_process_path": f"{SYSTEM32}\\services.exe",
        "parent_command_line": "C:\\Windows\\system32\\services.exe", "vendor_product": "Elastic ECS",
    }),
]  # fmt: skip

# --- windows_xml ----------------------------------------------------------------------------------------------------
SPLUNK = "C:\\Program Files\\SplunkUniversalForwarder\\bin"

# Times have nine digits after the second, of which six remain.
XML_CASES = [
    # The command line ends in a blank, and has an ampersand that is `&amp;` in the text.
    Case("splunk_data_source_sysmon_eventid_1", {
        **SYSMON, **START, **LINES, "event_time": "2020-10-08 11:03:46.61792",
        "host": "win-dc-6764986.attackrange.local", "process_id": 2296,
        "process_guid": "96128EA2-F212-5F7E-E400-000000007F01", "process_name": "cmd.exe",
        "process_path": f"{SYSTEM32}\\cmd.exe", "original_file_name": "Cmd.Exe", "user": "ATTACKRANGE\\Administrator",
        "integrity_level": "high", "parent_process_id": 4624,
        "parent_process_guid": "96128EA2-F211-5F7E-DF00-000000007F01", "parent_process_name": "powershell.exe",
        "parent_process_path": POWERSHELL, "record_id": "4522",
    }),
    Case("splunk_data_source_sysmon_eventid_3", {
        **SYSMON, **TCP, "event_time": "2022-09-15 12:56:22.958249",
        "host": "win-dc-ctus-attack-range-403.attackrange.local", "process_id": 5728,
        "process_guid": "6820D070-1F1B-6323-E113-000000007402", "process_name": "agent_tesla-deob.exe",
        "process_path": "C:\\Temp\\agent_tesla-deob.exe", "user": "ATTACKRANGE\\Administrator",
        "src_ip": "10.0.1.14", "src_port": 61722, "dest_ip": "41.77.117.236", "dest_port": 21,
        "dest_host": "youssef5.genious.net", "app": "ftp", "record_id": "156837",
    }),
    Case("splunk_data_source_sysmon_eventid_5", {
        **SYSMON, **END, "event_time": "2021-03-16 14:01:44.008858", "host": "win-dc-654.attackrange.local",
        "process_id": 8672, "process_guid": "26337912-BA32-6050-3506-00000000AE01", "process_name": "steam.exe",
        "process_path": "C:\\Users\\Public\\steam.exe", "record_id": "39965",
    }),
    # 0xf84 and 0xb2c. SIDs have their names: NULL SID is unknown, NT AUTHORITY\SYSTEM stays as it is.
    Case("splunk_data_source_windows_event_log_security_4688", {
        **SECURITY, **START, **COMMAND, "event_time": "2024-04-23 08:48:30.449376", "host": "ar-win-1",
        "process_id": 3972, "process_name": "splunk-powershell.exe",
        "process_path": f"{SPLUNK}\\splunk-powershell.exe", "user": "WORKGROUP\\AR-WIN-1$",
        "user_id": "NT AUTHORITY\\SYSTEM", "integrity_level": "system", "parent_process_id": 2860,
        "parent_process_name": "splunkd.exe", "parent_process_path": f"{SPLUNK}\\splunkd.exe", "record_id": "432820",
    }),
]  # fmt: skip

# --- Made-up records ------------------------------------------------------------------------------------------------
GUID, PARENT = "0000000a-0000-0000-0000-000000000001", "0000000a-0000-0000-0000-000000000002"
GUIDS = {"process_guid": GUID.upper(), "parent_process_guid": PARENT.upper()}
WEB = {"src_ip": "192.0.2.1", "src_port": 50000, "dest_ip": "198.51.100.7", "dest_port": 443}
PROCESS = {"process_id": 77, "process_name": "a.exe", "process_path": "C:\\b\\A.exe", "user": "EXAMPLE\\bob"}
PARENTS = {"parent_process_id": 8, "parent_process_name": "c.exe", "parent_process_path": "C:\\d\\C.exe"}

EVTX_JSON_CASES = [
    # Values with the types of a dumper: numbers and booleans; an event id with qualifiers is an object.
    Case("evtx_json", {
        **SYSMON, **TCP, **PROCESS, **WEB, "event_time": "2026-03-01 10:00:00.123456", "host": "pc1.example",
        "process_guid": GUID.upper(), "dest_host": "web.example", "direction": "inbound", "record_id": "5",
    }, {"Event": {
        "System": {"Provider": {"#attributes": {"Name": "Microsoft-Windows-Sysmon"}},
                   "EventID": {"#attributes": {"Qualifiers": 4096}, "#text": 3},
                   "TimeCreated": {"#attributes": {"SystemTime": "2026-03-01T10:00:00.1234567Z"}},
                   "EventRecordID": 5, "Execution": {"#attributes": {"ProcessID": 3288}},
                   "Channel": "Microsoft-Windows-Sysmon/Operational", "Computer": "PC1.example"},
        "EventData": {"RuleName": "-", "ProcessGuid": GUID, "ProcessId": 77, "Image": "C:\\b\\A.exe",
                      "User": "EXAMPLE\\bob", "Protocol": "tcp", "Initiated": False, "SourceIp": "192.0.2.1",
                      "SourcePort": 50000, "DestinationIp": "::ffff:198.51.100.7", "DestinationHostname": "Web.example",
                      "DestinationPort": 443, "DestinationPortName": None},
    }}),
]  # fmt: skip

MESSAGE = f"""Process Create:
RuleName: -
UtcTime: 2026-02-28 03:04:05.678
ProcessGuid: {{{GUID}}}
ProcessId: 77
Image: C:\\b\\A.exe
OriginalFileName: A.EXE
CommandLine:  A.exe /x:1 "{{d: e}}"\x20
CurrentDirectory: C:\\b\\
User: EXAMPLE\\bob
IntegrityLevel: Medium
Hashes: SHA256=AA,MD5=BB
ParentProcessGuid: {{{PARENT}}}
ParentProcessId: 8
ParentImage: C:\\d\\C.exe
ParentCommandLine: C.exe
Image: C:\\no\\other.exe"""
CSV_CASES = [
    # The time is the record's, to the second, and not UtcTime, which is a day off. Of a repeated name the first counts.
    Case("/in/pc9.csv.gz", {
        **SYSMON, **START, **PROCESS, **PARENTS, **GUIDS, "event_time": "2026-03-01 22:00:00", "host": "pc9",
        "original_file_name": "A.EXE", "command_line": ' A.exe /x:1 "{d: e}" ', "integrity_level": "medium",
        "process_hash": "SHA256=AA,MD5=BB", "parent_command_line": "C.exe",
    }, {"TimeCreated": "3/1/2026 10:00:00 PM", "Id": "1", "Message": MESSAGE.replace("\n", "\r\n")}),
]  # fmt: skip

NORMAL = {"pid": 77, "unique_pid": f"{{{GUID}}}", "process_name": "A.exe", "process_path": "C:\\b\\A.exe",
          "user": "EXAMPLE\\bob", "ppid": 8, "unique_ppid": f"{{{PARENT}}}", "parent_process_name": "C.exe",
          "parent_process_path": "C:\\d\\C.exe"}  # fmt: skip
EQLLIB_CASES = [
    Case("/in/sysmon-pc5.json.gz", {
        **SYSMON, **TCP, **PROCESS, **WEB, "event_time": "2026-03-01 10:00:00.123", "host": "pc5",
        "process_guid": GUID.upper(), "app": "https",
    }, {"EventId": 3, "UtcTime": "2026-03-01 10:00:00.123", "ProcessGuid": f"{{{GUID}}}", "ProcessId": "77",
        "Image": "C:\\b\\A.exe", "User": "EXAMPLE\\bob", "Protocol": "tcp", "Initiated": "true",
        "SourceIp": "192.0.2.1", "SourcePort": "50000", "DestinationIp": "198.51.100.7", "DestinationPort": "443",
        "DestinationPortName": "https", "RuleName": None}),
    # 134168328000000000 is 2026-03-01 10:00:00 on the FILETIME clock.
    Case("/in/normalized-pc6.json", {
        **SYSMON, **START, **PROCESS, **PARENTS, **GUIDS, "event_time": "2026-03-01 10:00:00.123456", "host": "pc6",
        "command_line": "A.exe /x ",
    }, {**NORMAL, "event_type": "process", "subtype": "create", "timestamp": 134168328001234560,
        "command_line": "A.exe /x "}),
    Case("/in/normalized-pc7.json", {
        **SYSMON, **END, **PROCESS, **PARENTS, **GUIDS, "event_time": "2026-03-01 10:00:01", "host": "pc7",
    }, {**NORMAL, "event_type": "process", "subtype": "terminate", "timestamp": 134168328010000000}),
    # A normalized record has no action and no names: they stay null.
    Case("/in/normalized-pc8.json", {
        **SYSMON, **TCP, **PROCESS, **PARENTS, **GUIDS, **WEB, "event_time": "2026-03-01 10:00:02", "host": "pc8",
    }, {**NORMAL, "event_type": "network", "subtype": "outgoing", "timestamp": 134168328020000000, "protocol": "TCP",
        "source_address": "192.0.2.1", "source_port": 50000, "destination_address": "198.51.100.7",
        "destination_port": "443"}),
    Case("/in/normalized-pc6.json, a registry key", "skipped", {
        **NORMAL, "event_type": "registry", "timestamp": 134168328000000000}),
]  # fmt: skip

CASES = {
    "windows_flat": FLAT_CASES,
    "winlogbeat6": WINLOGBEAT6_CASES,
    "winlogbeat7": WINLOGBEAT7_CASES,
    "windows_xml": XML_CASES,
    "ecs": ECS_CASES,
    "evtx_json": EVTX_JSON_CASES,
    "windows_message_csv": CSV_CASES,
    "eqllib": EQLLIB_CASES,
}
