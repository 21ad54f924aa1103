// SPDX-License-Identifier: GPL-2.0-only
package org.vmemmap.architecture.planted.dax;

import java.lang.invoke.MethodHandle;
import java.lang.reflect.Method;

/** Planted: reflection. */
final class Reflects {
  int count(Method method) {
    return method.getParameterCount();
  }

  int arguments(MethodHandle handle) {
    return handle.type().parameterCount();
  }
}
