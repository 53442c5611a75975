// SPDX-License-Identifier: Apache-2.0
#include "command_line/ofs/ofs_arguments.h"

namespace strata::appliance {
namespace {

constexpr char kFooter[] =
    "DIR is the folder with the filesystem's metadata, which names it. Keep it on a disk of its\n"
    "own redundancy: the data disks hold no copy of it.\n"
    "\n"
    "Examples:\n"
    "  strata ofs format meta file:/dev/sd{b,c,d,e,f,g}\n"
    "  strata ofs mount meta /srv/files\n"
    "  strata ofs df meta\n"
    "  strata ofs status meta\n"
    "  strata ofs disk replace meta 3 file:/dev/sdh\n"
    "  strata ofs check meta\n"
    "\n"
    "Each command has more in its own --help.\n"
    "Exit codes: 0 done, 1 error, 2 usage, 3 something is lost or wrong, or cannot be healed now.";

constexpr char kStatusFooter[] =
    "Examples:\n"
    "  strata ofs status meta\n"
    "  strata --json ofs status meta | jq '.disks[] | select(.state != \"online\" or (.present | "
    "not))'";

constexpr char kDiskFooter[] =
    "Examples:\n"
    "  strata ofs disk list meta\n"
    "  strata ofs disk add meta file:/dev/sdh\n"
    "  strata ofs disk replace meta 3 file:/dev/sdh     # 3 is emptied, or rebuilt where it is "
    "lost\n"
    "  strata ofs disk drain meta 3                     # then, when nothing is left on it:\n"
    "  strata ofs disk remove meta 3\n"
    "  strata ofs disk fail meta 3                      # it is lost for good\n"
    "  strata ofs disk online meta 3                    # it is well again";

constexpr char kHealFooter[] =
    "Examples:\n"
    "  strata ofs heal meta --wait && strata ofs disk remove meta 3\n"
    "\n"
    "What lies on failed and draining disks moves to others. A mount does that by itself, at its\n"
    "--heal-rate; --wait does it as fast as it goes and ends when nothing is left. Exit code 3: "
    "something\n"
    "could not be moved, and why.";

constexpr char kScrubFooter[] =
    "Examples:\n"
    "  strata ofs scrub meta\n"
    "  strata --json ofs scrub meta | jq '.lost[] | .path'\n"
    "\n"
    "Everything that is stored is read; what is damaged is written again. Exit code 3: files are "
    "named of\n"
    "which bytes are lost.";

constexpr char kCheckFooter[] =
    "Examples:\n"
    "  strata ofs check meta\n"
    "  strata ofs check meta --data\n"
    "  strata --json ofs check meta | jq '.findings[] | select(.warning | not)'\n"
    "\n"
    "Verifies that the rows of the metadata agree with each other and with the disks, and changes\n"
    "nothing; with --data it also reads everything that is stored. A filesystem that is mounted "
    "is\n"
    "refused: scrub works on that. What a crash left is no finding. Exit code 3: something is "
    "wrong.";

constexpr char kFormatFooter[] =
    "Examples:\n"
    "  strata ofs format meta file:/dev/sd{b,c,d,e,f,g}\n"
    "  strata ofs format meta --protection 'mirror(2)' 'file:/a/disk?size=64G&create=1' "
    "'file:/b/disk?size=64G&create=1'\n"
    "\n"
    "A protection is K+M, mirror(COPIES) or lrc(K,GROUPS,GLOBAL): any M disks, all copies but one, "
    "may be\n"
    "lost. Each disk is a failure domain. A device that carries anything is refused without "
    "--force.";

constexpr char kMountFooter[] =
    "Examples:\n"
    "  strata ofs mount meta /srv/files\n"
    "  strata ofs mount meta /srv/files --allow-other --suid --dev   # as root, for everybody\n"
    "  fusermount3 -u /srv/files                                     # from elsewhere: the end\n"
    "\n"
    "One line is printed when the mount point can be used; the command runs until the filesystem "
    "is\n"
    "unmounted. SIGINT or SIGTERM unmount it; a second signal does not wait. What is not synced is "
    "on\n"
    "the disks about five seconds after the program's close(); fsync of a file makes it durable at "
    "once,\n"
    "fsync of the mount point everything that was closed or synced. sync(1) does not reach FUSE.";

constexpr char kSpaceFooter[] =
    "Examples:\n"
    "  strata ofs df meta\n"
    "  strata --json ofs df meta | jq .free_bytes\n"
    "\n"
    "Sizes are those of file contents: protection is taken off already.";

}  // namespace

namespace {

void AddDiskCommands(CLI::App* ofs, OfsRequest* request,
                     const std::function<void(const std::string&)>& chosen) {
  CLI::App* const disk = ofs->add_subcommand("disk", "Its disks.");
  disk->require_subcommand(1);
  disk->fallthrough();
  disk->footer(kDiskFooter);
  const auto add = [&](const char* name, const char* command, const char* meaning) {
    CLI::App* const sub = disk->add_subcommand(name, meaning);
    sub->fallthrough();
    sub->footer(kDiskFooter);
    sub->callback([chosen, command] { chosen(command); });
    sub->add_option("directory", request->directory, "The metadata folder.")->required();
    return sub;
  };
  const auto add_number = [&](CLI::App* sub) {
    sub->add_option("disk", request->disk, "Its number, as `disk list` shows it.")->required();
    sub->add_option("--reason", request->reason, "For people.");
  };
  const auto add_new = [&](CLI::App* sub) {
    sub->add_option("uri", request->uri, "The new disk, as file:/dev/sdh.")->required();
    sub->add_option("--class", request->disk_class, "ssd, sas, sata, archive.");
    sub->add_option("--domain", request->domain, "Its failure domain, as rack1/node2/disk3.");
    sub->add_flag("--force", request->force, "Overwrite what the device carries.");
  };
  add("list", "ofs.disk.list", "Show them.");
  add_new(add("add", "ofs.disk.add", "Take a new disk in."));
  CLI::App* const replace =
      add("replace", "ofs.disk.replace", "Put a new disk in the place of one.");
  add_number(replace);
  add_new(replace);
  add_number(add("drain", "ofs.disk.drain", "Move what it holds elsewhere."));
  add_number(add("fail", "ofs.disk.fail", "Say that it is lost."));
  add_number(add("online", "ofs.disk.online", "Use it again."));
  add_number(add("remove", "ofs.disk.remove", "Give up a disk that holds nothing any more."));
}

}  // namespace

void AddOfsCommands(CLI::App* app, OfsRequest* request,
                    const std::function<void(const std::string&)>& chosen) {
  CLI::App* const ofs =
      app->add_subcommand("ofs", "A filesystem over many disks that survives losing some.");
  ofs->require_subcommand(1);
  ofs->fallthrough();
  ofs->footer(kFooter);
  const auto add = [&](const char* name, const char* command, const char* meaning,
                       const char* footer) {
    CLI::App* const sub = ofs->add_subcommand(name, meaning);
    sub->fallthrough();
    sub->footer(footer);
    sub->callback([chosen, command] { chosen(command); });
    sub->add_option("directory", request->directory, "The metadata folder.")->required();
    return sub;
  };

  CLI::App* const format = add("format", "ofs.format", "Make a filesystem.", kFormatFooter);
  format->add_option("uris", request->uris, "The disks, as file:/dev/sdb.")->required();
  format->add_option("--protection", request->protection, "Of files that choose none [4+2].");
  format->add_option("--class", request->disk_class,
                     "Of the disks: ssd, sas, sata, archive [ssd].");
  format->add_flag("--force", request->force, "Overwrite what the devices carry.");

  CLI::App* const mount =
      add("mount", "ofs.mount", "Mount it, until it is unmounted.", kMountFooter);
  mount->add_option("mount_point", request->mount_point, "An existing folder.")->required();
  mount->add_option("--threads", request->threads, "Threads that serve requests [8].")
      ->check(CLI::Range(1, 64));
  mount->add_flag("--allow-other", request->allow_other,
                  "Other users may use it, as their rights allow.");
  mount->add_flag("--read-only", request->read_only, "Refuse changes.");
  mount->add_flag("--suid", request->allow_set_id, "Set-user-ID programs count; root alone.");
  mount->add_flag("--dev", request->allow_devices, "Device nodes can be opened; root alone.");
  mount->add_flag("--write-through", request->write_through,
                  "The kernel gathers no writes: errors show at once, small writes take longer.");

  mount->add_option("--heal-rate", request->heal_rate,
                    "Bytes a second that are moved off failed disks; 0: none [100M].");

  add("status", "ofs.status", "Its disks, its space, and what is to be healed.", kStatusFooter);
  CLI::App* const heal = add("heal", "ofs.heal", "Bring full redundancy back.", kHealFooter);
  heal->add_flag("--wait", request->wait, "Until nothing is left to be done.");
  add("scrub", "ofs.scrub", "Read everything, and repair what is damaged.", kScrubFooter);
  CLI::App* const check =
      add("check", "ofs.check", "Verify it while it is not mounted.", kCheckFooter);
  check->add_flag("--data", request->data, "Read all that is stored, too.");
  AddDiskCommands(ofs, request, chosen);

  add("df", "ofs.df", "How much space there is.", kSpaceFooter);
}

}  // namespace strata::appliance
