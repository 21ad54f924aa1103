// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.sparse;

import org.jspecify.annotations.Nullable;
import org.vmemmap.types.Errno;
import org.vmemmap.types.Kernel;
import org.vmemmap.types.Mm;
import org.vmemmap.types.Zone;

/** The files in /sys/devices/system/memory. */
@Kernel(file = "drivers/base/memory.c", symbol = "memory_memblk_attrs")
public final class MemorySysfs {
  private static final String DIR = "/sys/devices/system/memory/";

  private final Mm mm;
  private final HotplugSystem parts;

  MemorySysfs(Mm mm, HotplugSystem parts) {
    this.mm = mm;
    this.parts = parts;
  }

  private record Attr(MemoryBlock mem, String name) {}

  private @Nullable Attr attr(String path) {
    String[] words = path.substring(DIR.length()).split("/", -1);
    if (words.length != 2 || !words[0].matches("memory[0-9]{1,9}")) {
      return null;
    }
    MemoryBlock mem = parts.blocks().memoryBlockGet(Long.parseLong(words[0].substring(6)));
    if (mem == null) {
      return null;
    }
    parts.blocks().memoryBlockPut(mem);
    return new Attr(mem, words[1]);
  }

  @Kernel(file = "drivers/base/memory.c", symbol = "state_show")
  private static String stateShow(MemoryBlock mem) {
    return switch (mem.state) {
      case MemoryBlock.MEM_ONLINE -> "online";
      case MemoryBlock.MEM_OFFLINE -> "offline";
      default -> "going-offline";
    };
  }

  /** Returns 0, or the negative error code of the write. */
  @Kernel(file = "drivers/base/memory.c", symbol = "state_store")
  private int stateStore(MemoryBlock mem, String buf) {
    Mmop type = Mmop.mhpOnlineTypeFromStr(buf);
    if (type == null) {
      return -Errno.EINVAL;
    }
    parts.locks().lockDeviceHotplug();
    int ret =
        type == Mmop.MMOP_OFFLINE
            ? parts.blocks().deviceOffline(mem)
            : parts.blocks().deviceOnline(mem, type);
    parts.locks().unlockDeviceHotplug();
    return ret > 0 ? -Errno.EINVAL : ret;
  }

  private long startPfn(MemoryBlock mem) {
    return mm.mmzone().sectionNrToPfn(mem.startSectionNr);
  }

  private long nrPages() {
    return parts.blocks().memoryBlockSizeBytes() >>> mm.model().pageShift();
  }

  @Kernel(file = "drivers/base/memory.c", symbol = "print_allowed_zone")
  private String printAllowedZone(MemoryBlock mem, Mmop type, Zone defaultZone) {
    Zone zone = zone(mem, type);
    return zone == defaultZone ? "" : " " + zone.name();
  }

  private Zone zone(MemoryBlock mem, Mmop type) {
    return parts.zones().zoneForPfnRange(type, mem.nid, mem.group, startPfn(mem), nrPages());
  }

  @Kernel(file = "drivers/base/memory.c", symbol = "valid_zones_show")
  private String validZonesShow(MemoryBlock mem) {
    if (mem.state == MemoryBlock.MEM_ONLINE) {
      return mem.zone == null ? "none" : mem.zone.name();
    }
    Zone defaultZone = zone(mem, Mmop.MMOP_ONLINE);
    return defaultZone.name()
        + printAllowedZone(mem, Mmop.MMOP_ONLINE_KERNEL, defaultZone)
        + printAllowedZone(mem, Mmop.MMOP_ONLINE_MOVABLE, defaultZone);
  }

  /** {@code cat path}, without the last newline; null for a file that is not there. */
  public @Nullable String read(String path) {
    if (!path.startsWith(DIR)) {
      return null;
    }
    if (path.equals(DIR + "block_size_bytes")) {
      return Long.toHexString(parts.blocks().memoryBlockSizeBytes());
    }
    if (path.equals(DIR + "auto_online_blocks")) {
      return parts.params().mhpGetDefaultOnlineType().mhpOnlineTypeToStr();
    }
    Attr attr = attr(path);
    if (attr == null) {
      return null;
    }
    return switch (attr.name) {
      case "state" -> stateShow(attr.mem);
      case "online" -> attr.mem.devOffline ? "0" : "1";
      case "valid_zones" -> validZonesShow(attr.mem);
      case "phys_index" -> "%08x".formatted(startPfn(attr.mem) / nrPages());
      case "removable" -> "1";
      case "phys_device" -> "0";
      default -> null;
    };
  }

  /** {@code echo value > path}: 0, a negative error code; -ENOENT for no such file. */
  public int write(String path, String value) {
    if (path.equals(DIR + "auto_online_blocks")) {
      return autoOnlineBlocksStore(value);
    }
    Attr attr = path.startsWith(DIR) ? attr(path) : null;
    if (attr == null) {
      return -Errno.ENOENT;
    }
    return switch (attr.name) {
      case "state" -> stateStore(attr.mem, value);
      case "online" -> onlineStore(attr.mem, value);
      case "valid_zones", "phys_index", "removable", "phys_device" -> -Errno.EACCES;
      default -> -Errno.ENOENT;
    };
  }

  /** 0 or 1; what is so already is fine. */
  @Kernel(file = "drivers/base/core.c", symbol = "online_store")
  private int onlineStore(MemoryBlock mem, String value) {
    String text = value.strip();
    if (!text.equals("0") && !text.equals("1")) {
      return -Errno.EINVAL;
    }
    parts.locks().lockDeviceHotplug();
    int ret =
        text.equals("1")
            ? parts.blocks().deviceOnline(mem, Mmop.MMOP_OFFLINE)
            : parts.blocks().deviceOffline(mem);
    parts.locks().unlockDeviceHotplug();
    return Math.min(ret, 0);
  }

  @Kernel(file = "drivers/base/memory.c", symbol = "auto_online_blocks_store")
  private int autoOnlineBlocksStore(String buf) {
    Mmop type = Mmop.mhpOnlineTypeFromStr(buf);
    if (type == null) {
      return -Errno.EINVAL;
    }
    parts.params().mhpSetDefaultOnlineType(type);
    return 0;
  }
}
