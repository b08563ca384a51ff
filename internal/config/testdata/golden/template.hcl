ident = "the server %{time} of ${host}"
