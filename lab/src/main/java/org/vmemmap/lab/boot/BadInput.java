// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.lab.boot;

/**
 * Something that the user gave cannot be used. The message is one line that names what was given
 * and what would be right; the command line prints it and ends with exit code 2.
 */
public final class BadInput extends RuntimeException {
  private static final long serialVersionUID = 1L;

  /** Takes the one line. */
  public BadInput(String message) {
    super(message);
  }
}
