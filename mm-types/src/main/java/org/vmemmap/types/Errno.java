// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.types;

/**
 * The kernel's error numbers. Functions return them negated, as C does; a pointer-valued function
 * returns them as {@link Page#err}.
 */
@Kernel(file = "include/uapi/asm-generic/errno-base.h", symbol = "ENOMEM")
public final class Errno {
  public static final int EPERM = 1;
  public static final int ENOENT = 2;
  public static final int EINTR = 4;
  public static final int EIO = 5;
  public static final int ENXIO = 6;
  public static final int E2BIG = 7;
  public static final int EAGAIN = 11;
  public static final int ENOMEM = 12;
  public static final int EACCES = 13;
  public static final int EFAULT = 14;
  public static final int EBUSY = 16;
  public static final int EEXIST = 17;
  public static final int ENODEV = 19;
  public static final int EINVAL = 22;
  public static final int ENOSPC = 28;
  public static final int ERANGE = 34;
  public static final int EOPNOTSUPP = 95;
  public static final int EHWPOISON = 133;
  public static final int ENOTSUPP = 524;
  public static final int EPROBE_DEFER = 517;

  private Errno() {}

  /** The name of a negative return code for messages: {@code -12} is {@code -ENOMEM}. */
  public static String name(int rc) {
    return switch (-rc) {
      case EPERM -> "-EPERM";
      case ENOENT -> "-ENOENT";
      case EINTR -> "-EINTR";
      case EIO -> "-EIO";
      case ENXIO -> "-ENXIO";
      case E2BIG -> "-E2BIG";
      case EAGAIN -> "-EAGAIN";
      case ENOMEM -> "-ENOMEM";
      case EACCES -> "-EACCES";
      case EFAULT -> "-EFAULT";
      case EBUSY -> "-EBUSY";
      case EEXIST -> "-EEXIST";
      case ENODEV -> "-ENODEV";
      case EINVAL -> "-EINVAL";
      case ENOSPC -> "-ENOSPC";
      case ERANGE -> "-ERANGE";
      case EOPNOTSUPP -> "-EOPNOTSUPP";
      case EPROBE_DEFER -> "-EPROBE_DEFER";
      case EHWPOISON -> "-EHWPOISON";
      case ENOTSUPP -> "-ENOTSUPP";
      default -> Integer.toString(rc);
    };
  }
}
